// Package geoipx replaces the package of that name: it knows only the lab's networks, from the file
// that PEERS_NETWORKS names.
//
// A line of that file is "prefix number country name".
package geoipx

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
)

type network struct {
	prefix  netip.Prefix
	number  uint
	country string
	name    string
}

var networks = sync.OnceValue(func() (found []network) {
	data, _ := os.ReadFile(os.Getenv("PEERS_NETWORKS"))
	for _, line := range strings.Split(string(data), "\n") {
		var prefix string
		one := network{}
		count, _ := fmt.Sscan(line, &prefix, &one.number, &one.country, &one.name)
		if count == 4 {
			one.prefix = netip.MustParsePrefix(prefix)
			found = append(found, one)
		}
	}
	return found
})

// find returns the longest matching network; the number of an unknown address is 0.
func find(ip string) network {
	best := network{country: "ZZ"}
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return best
	}
	for _, one := range networks() {
		wider := best.number != 0 && one.prefix.Bits() <= best.prefix.Bits()
		if one.prefix.Contains(address) && !wider {
			best = one
		}
	}
	return best
}

// LookupASN returns the AS number and name of an address.
func LookupASN(ip string, _ string) (uint, string, error) {
	one := find(ip)
	return one.number, one.name, nil
}

// LookupCC returns the country of an address.
func LookupCC(ip string, _ string) (string, error) {
	return find(ip).country, nil
}
