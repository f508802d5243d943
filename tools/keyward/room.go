package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var roomView = view[manager.Room]{"ID KIND MEMBERS MATRIX", func(r manager.Room) []string {
	return []string{r.ID, string(r.Kind), strings.Join(r.Members, ","), r.Matrix}
}}

// newRoom is the command that handles Matrix rooms.
func newRoom() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "room",
		Short: "List Matrix rooms, make shared ones, and choose what a room shows",
		Long: `List Matrix rooms, make shared ones, and choose what a room shows.

The Manager makes its own room and one for each Worker by itself: manager, and
worker:CONSUMER. Workers meet in a room only where you make one: shared:NAME.`,
	}
	cmd.AddCommand(newRoomCreate(), newRoomList(), newRoomGet(), newRoomSet(), newRoomDelete(),
		roomMember("add", "Put a Worker into a shared room", (*client.Client).AddRoomMember),
		roomMember("remove", "Take a Worker out of a shared room", (*client.Client).RemoveRoomMember))
	return cmd
}

// roomFlags are the settings of a room.
func roomFlags(cmd *cobra.Command, spec *manager.RoomSpec) {
	f := cmd.Flags()
	f.StringVar(&spec.Name, "name", "", "what Matrix clients show; empty: made from the ID")
	f.BoolVar(&spec.Calls, "calls", false, "a shared room shows its members' requests too")
	f.BoolVar(&spec.EachLLM, "each-llm", false, "a line for each LLM request, no digests")
	f.BoolVar(&spec.EachAuth, "each-auth", false, "a line for each request without a valid token, no digests")
	f.Int64Var(&spec.DigestSeconds, "digest-seconds", 0, "how long a digest gathers; 0: 60")
}

func newRoomCreate() *cobra.Command {
	var spec manager.RoomSpec
	cmd := changeCommand(&cobra.Command{
		Use:     "create NAME [WORKER]...",
		Short:   "Make a room that several Workers share",
		Example: `  keyward room create search worker-researcher worker-writer --calls --token-file admin.token`,
		Args:    cobra.MinimumNArgs(1),
	}, func(s *session) error {
		spec.Members = s.args[1:]
		r, change, err := s.api.CreateRoom(s.ctx(), client.Request{}, manager.NewRoom{ID: s.args[0], RoomSpec: spec})
		if err != nil {
			return err
		}
		if err := printOne(s, roomView, r); err != nil {
			return err
		}
		return s.changed(change)
	})
	roomFlags(cmd, &spec)
	return cmd
}

func newRoomList() *cobra.Command {
	var kind string
	cmd := listCommand(&cobra.Command{
		Use:     "list",
		Short:   "List rooms",
		Example: `  keyward room list --kind shared --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		list, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.Room], error) {
			return s.api.Rooms(ctx, manager.RoomKind(kind), p)
		})
		if err != nil {
			return err
		}
		return printList(s, roomView, list)
	})
	cmd.Flags().StringVar(&kind, "kind", "", "manager, worker or shared; empty: all")
	return cmd
}

func newRoomGet() *cobra.Command {
	return apiCommand(&cobra.Command{
		Use:     "get ID",
		Short:   "Show a room",
		Example: `  keyward room get worker:worker-researcher -o yaml --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		r, err := s.api.Room(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		return printOne(s, roomView, r)
	})
}

func newRoomSet() *cobra.Command {
	var spec manager.RoomSpec
	cmd := changeCommand(&cobra.Command{
		Use:   "set ID",
		Short: "Choose what a room shows",
		Example: `  # a line for each LLM request of one Worker
  keyward room set worker:worker-researcher --each-llm --token-file admin.token`,
		Args: cobra.ExactArgs(1),
	}, func(s *session) error {
		r, err := s.api.Room(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		// What no flag names stays as it is.
		changed := s.cmd.Flags().Changed
		for name, set := range map[string]func(){
			"name":           func() { r.Name = spec.Name },
			"calls":          func() { r.Calls = spec.Calls },
			"each-llm":       func() { r.EachLLM = spec.EachLLM },
			"each-auth":      func() { r.EachAuth = spec.EachAuth },
			"digest-seconds": func() { r.DigestSeconds = spec.DigestSeconds },
		} {
			if changed(name) {
				set()
			}
		}
		r, change, err := s.api.UpdateRoom(s.ctx(), client.Request{Version: r.Version}, r.ID, r.RoomSpec)
		if err != nil {
			return err
		}
		if err := printOne(s, roomView, r); err != nil {
			return err
		}
		return s.changed(change)
	})
	roomFlags(cmd, &spec)
	return cmd
}

func newRoomDelete() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:     "delete ID",
		Short:   "Let a shared room be; in Matrix it stays, with its history",
		Example: `  keyward room delete shared:search --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		change, err := s.api.DeleteRoom(s.ctx(), client.Request{}, s.args[0])
		if err != nil {
			return err
		}
		return s.changed(change)
	})
}

// A memberCall changes who is in a shared room.
type memberCall func(*client.Client, context.Context, client.Request, string, string) (manager.Room, client.Change, error)

func roomMember(verb, short string, call memberCall) *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:     verb + " ID WORKER",
		Short:   short,
		Example: "  keyward room " + verb + " shared:search worker-researcher --token-file admin.token",
		Args:    cobra.ExactArgs(2),
	}, func(s *session) error {
		r, change, err := call(s.api, s.ctx(), client.Request{}, s.args[0], s.args[1])
		if err != nil {
			return err
		}
		if err := printOne(s, roomView, r); err != nil {
			return err
		}
		return s.changed(change)
	})
}
