// Whether a dashboard is one as Grafana's own types have it: no field that they lack, none of another type, no value that
// is out of range; panels and queries as their plugins have them.
//
//    main FILE...     a line for each: "ok", or what is wrong
package main

import (
    "fmt"
    "os"

    "github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
    "github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func look(file string) error {
    bytes, err := os.ReadFile(file)
    if err != nil {
        return err
    }
    board := dashboard.Dashboard{}
    if err := board.UnmarshalJSONStrict(bytes); err != nil && err.Error() != "" { // an empty list of errors is none
        return err
    }
    if err := board.Validate(); err != nil && err.Error() != "" {
        return err
    }
    return nil
}

func main() {
    plugins.RegisterDefaultPlugins()
    for _, file := range os.Args[1:] {
        if err := look(file); err != nil {
            fmt.Printf("%v\n", err)
        } else {
            fmt.Println("ok")
        }
    }
}
