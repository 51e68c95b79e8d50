// noop does nothing, and ends: what is left of a container is what everybody pays for it.
// It makes an empty file of each name that it is given.
package main

import "os"

func main() {
	for _, name := range os.Args[1:] {
		if os.WriteFile(name, nil, 0o644) != nil {
			os.Exit(1)
		}
	}
}
