package main

import (
	"context"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

// A noun is a kind of object of the Manager: what its commands have in common.
type noun[T any] struct {
	words   string // of its command, such as "consumer"
	a       string // with its article, for sentences
	example string // id, for examples
	view    view[T]
	ids     lister
}

// usage is the example of a command; more is what follows the id.
func (n noun[T]) usage(verb, more string) string {
	return "  keyward " + n.words + " " + verb + " " + n.example + more + " --token-file admin.token"
}

// one makes a command's only argument the id of an object.
func (n noun[T]) one(cmd *cobra.Command) *cobra.Command {
	cmd.Use += " ID"
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = completeEach(n.ids)
	return cmd
}

// get is the command that shows one object.
func (n noun[T]) get(call func(*client.Client, context.Context, string) (T, error)) *cobra.Command {
	return apiCommand(n.one(&cobra.Command{
		Use:     "get",
		Short:   "Show " + n.a,
		Example: n.usage("get", " -o yaml"),
	}), func(s *session) error {
		v, err := call(s.api, s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		return printOne(s, n.view, v)
	})
}

// list is the command that shows all objects, or those that its flags choose.
func (n noun[T]) list(short, example string, page func(*session, context.Context, manager.Page) (manager.List[T], error)) *cobra.Command {
	return listCommand(&cobra.Command{
		Use:     "list",
		Short:   short,
		Example: example,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		all, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[T], error) { return page(s, ctx, p) })
		if err != nil {
			return err
		}
		return printList(s, n.view, all)
	})
}

// A changeCall changes one object and returns what it became.
type changeCall[T any] func(*client.Client, context.Context, client.Request, string) (T, client.Change, error)

// verb is a command that changes one object, and needs to be told nothing else.
func (n noun[T]) verb(verb, short string, call changeCall[T]) *cobra.Command {
	return changeCommand(n.one(&cobra.Command{
		Use:     verb,
		Short:   short,
		Example: n.usage(verb, " --wait"),
	}), func(s *session) error {
		return show(s, n.view)(call(s.api, s.ctx(), client.Request{}, s.args[0]))
	})
}

// An endCall takes one object away.
type endCall func(*client.Client, context.Context, client.Request, string) (client.Change, error)

// end is a command that takes one object away.
func (n noun[T]) end(verb, short string, call endCall) *cobra.Command {
	return changeCommand(n.one(&cobra.Command{
		Use:     verb,
		Short:   short,
		Example: n.usage(verb, " --wait"),
	}), func(s *session) error {
		change, err := call(s.api, s.ctx(), client.Request{}, s.args[0])
		if err != nil {
			return err
		}
		return s.changed(change)
	})
}

// show prints what a change came to, and waits for it.
func show[T any](s *session, v view[T]) func(T, client.Change, error) error {
	return func(one T, change client.Change, err error) error {
		if err != nil {
			return err
		}
		if err := printOne(s, v, one); err != nil {
			return err
		}
		return s.changed(change)
	}
}
