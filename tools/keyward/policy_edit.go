package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/rego"
)

func newPolicyEdit() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:   "edit",
		Short: "Edit the live policy, test it, and publish it",
		Long: `Edit the live policy: its files open in $VISUAL or $EDITOR. When the editor ends,
the Manager compiles them and runs their tests. What is wrong is shown with its
place, and one can go on editing; what is right is shown as a difference and
published. Nobody else's change is overwritten.`,
		Example: `  EDITOR="code --wait" keyward policy edit --wait --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, (*session).edit)
}

func (s *session) edit() error {
	live, err := s.version("")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keyward-policy-*")
	if err != nil {
		return err
	}
	names, err := writePolicy(dir, live.PolicySource)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	src, err := s.editUntilRight(dir, names)
	if err == nil {
		err = s.publishEdited(live, src)
	}
	if err != nil {
		return hinted{err, "the edited files are in " + dir + "; `keyward policy publish` takes them"}
	}
	return os.RemoveAll(dir)
}

// editUntilRight opens the editor until the policy compiles and its tests pass,
// or until whoever edits it gives up.
func (s *session) editUntilRight(dir string, names []string) (manager.PolicySource, error) {
	for {
		if err := s.openEditor(names); err != nil {
			return manager.PolicySource{}, err
		}
		src, err := rego.Load(dir)
		if err == nil {
			err = s.try(src)
		}
		if err == nil || !s.again(err) {
			return src, err
		}
	}
}

// openEditor runs the editor, which may be a command with arguments.
func (s *session) openEditor(names []string) error {
	words := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi"))
	c := exec.CommandContext(s.ctx(), words[0], append(words[1:], names...)...)
	c.Stdin, c.Stdout, c.Stderr = s.cmd.InOrStdin(), s.cmd.OutOrStdout(), s.cmd.ErrOrStderr()
	c.Dir = filepath.Dir(names[0])
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return nil
}

// try has the Manager compile a policy and run its tests.
func (s *session) try(src manager.PolicySource) error {
	if err := s.api.CheckPolicy(s.ctx(), src); err != nil {
		return err
	}
	t, err := s.api.TestPolicy(s.ctx(), src)
	if err != nil {
		return err
	}
	if !t.Passed {
		return errors.New("its tests fail:\n" + t.Report)
	}
	return nil
}

// again asks on a terminal whether to go on editing.
func (s *session) again(err error) bool {
	if !isTerminal(s.cmd) {
		return false
	}
	w := s.cmd.ErrOrStderr()
	fmt.Fprintf(w, "%v\n\nEdit again? [Y/n] ", err)
	line, err := bufio.NewReader(s.cmd.InOrStdin()).ReadString('\n')
	return err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "n")
}

// publishEdited publishes what became of the live policy, if that is still live
// when the Manager comes to it.
func (s *session) publishEdited(live manager.PolicyText, src manager.PolicySource) error {
	diff := live.Diff(src)
	if diff == "" {
		_, err := fmt.Fprintln(s.cmd.ErrOrStderr(), "nothing was changed")
		return err
	}
	fmt.Fprint(s.cmd.ErrOrStderr(), diff)
	p, _, err := s.api.CreatePolicy(s.ctx(), client.Request{}, manager.PolicySpec{PolicySource: src, Note: "edited from " + live.ID})
	if err != nil {
		return err
	}
	return show(s, policyVersions.view)(s.api.PublishPolicyInstead(s.ctx(), client.Request{}, p.ID, live.ID))
}
