package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"
)

var formats = []string{"table", "json", "yaml", "name"}

func checkFormat(f string) error {
	if !slices.Contains(formats, f) {
		return fmt.Errorf("--output %q is not one of %s", f, strings.Join(formats, ", "))
	}
	return nil
}

// A view is how a table shows objects. The first column is the name.
type view[T any] struct {
	head string // column titles, separated by spaces; empty: without them
	row  func(T) []string
}

// printList prints objects in the format of s.
func printList[T any](s *session, v view[T], list []T) error {
	if list == nil {
		list = []T{} // not null
	}
	return printAs(s, v, list, list)
}

// printOne prints one object in the format of s.
func printOne[T any](s *session, v view[T], one T) error {
	return printAs(s, v, one, []T{one})
}

func printAs[T any](s *session, v view[T], doc any, rows []T) error {
	w := s.cmd.OutOrStdout()
	switch s.format {
	case "json", "yaml":
		return printDocument(w, s.format, doc)
	case "name":
		for _, r := range rows {
			if _, err := fmt.Fprintln(w, cell(v.row(r)[0])); err != nil {
				return err
			}
		}
		return nil
	default:
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if v.head != "" {
			fmt.Fprintln(t, strings.Join(strings.Fields(v.head), "\t"))
		}
		for _, r := range rows {
			cells := v.row(r)
			for i := range cells {
				cells[i] = cell(cells[i])
			}
			fmt.Fprintln(t, strings.Join(cells, "\t"))
		}
		return t.Flush()
	}
}

// cell keeps what others wrote from moving the cursor of the terminal.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// printDocument prints doc as JSON, or as YAML with the names that JSON has.
func printDocument(w io.Writer, format string, doc any) error {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	if format == "json" {
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	plain(&n)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return errors.Join(e.Encode(&n), e.Close())
}

// plain takes JSON's braces away. A string stays quoted, so that none of them
// becomes a number.
func plain(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode && len(n.Content) > 0 {
		n.Style = 0
	}
	for _, c := range n.Content {
		plain(c)
	}
}

func timeCell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func mapCell(m map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return strings.Join(list, ",")
}
