package netxlite

import "os"

// pemcerts is what its own file has, and the laboratory's roots after that.
var pemcerts = ownRoots + labRoots()

func labRoots() string {
	data, _ := os.ReadFile(os.Getenv("PEERS_ROOTS"))
	return "\n" + string(data)
}
