package netxlite

import "os"

// pemcerts is OONI's root pool followed by the lab's roots.
var pemcerts = ownRoots + labRoots()

func labRoots() string {
	data, _ := os.ReadFile(os.Getenv("PEERS_ROOTS"))
	return "\n" + string(data)
}
