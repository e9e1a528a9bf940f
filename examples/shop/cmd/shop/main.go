// Command shop writes the example's database as SQL:
//
//	go run ./examples/shop/cmd/shop | psql -d shop
package main

import (
	"fmt"
	"os"

	"github.com/weir-gateway/weir/examples/shop"
)

func main() {
	if err := shop.New(shop.Seed).WriteSQL(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}
