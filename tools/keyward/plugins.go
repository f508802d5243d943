package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"keyward/manager/publish"
	"keyward/manager/publish/image"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tools/wasmlink/link"
)

// newPlugins is the command that brings the plugins to a gateway.
func newPlugins() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "List the plugins, and bring them to a Higress gateway",
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", "dist", "folder with the built plugins")
	cmd.AddCommand(newPluginsList(&dir), newPluginsManifest(&dir), newPluginsImage(&dir))
	return cmd
}

func newPluginsList(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the plugins with their place in the chain, size and digest",
		Long: `List the plugins with their place in the chain, size and digest. BUILD is what
"keyward gateway list" shows of gateways that run them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tPHASE\tPRIORITY\tBYTES\tBUILD\tVERSION\tSHA256")
			for _, p := range publish.Plugins {
				wasm, err := readPlugin(*dir, p.Name)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", p.Name, p.Phase, p.Priority, len(wasm), wasm.Build(), wasm.Version(), wasm.SHA256())
			}
			return w.Flush()
		},
	}
}

func newPluginsManifest(dir *string) *cobra.Command {
	var (
		opt     publish.Options
		keyFrom string
		file    string
	)
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Print the WasmPlugin resources for Higress",
		Long: `Print the WasmPlugin resources for Higress, to be applied with kubectl.

The modules are expected where the resources say: below an http or https URL at
NAME/VERSION/plugin.wasm, or as images in a registry (see "keyward plugins image").

The gateway's private keys reach key-swap in one of two ways:

  --key-from host    from the environment of the gateway's own process; nothing
                     shows them but that environment (the default)
  --key-from secret  from a Kubernetes Secret, which Higress' controller puts into
                     the configuration; they can be read in the gateway's config_dump`,
		Example: `  keyward plugins manifest --url-base http://files.keyward:8080/plugins --snapshot snapshot.json | kubectl apply -f -
  keyward plugins manifest --url-base oci://registry.example.com/keyward --snapshot snapshot.json \
      --key-from secret --secret higress-system/keyward-gateway.keys`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.KeysFrom = publish.KeySource(keyFrom)
			out, err := manifest(*dir, file, opt)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.BaseURL, "url-base", "", "where the gateway gets the modules: http://, https:// or oci://")
	flags.StringVar(&file, "snapshot", "", "`file` with the snapshot that the plugins start with")
	flags.StringVar(&opt.Namespace, "namespace", publish.DefaultNamespace, "namespace that Higress reads WasmPlugins from")
	flags.StringVar(&keyFrom, "key-from", string(publish.KeysFromHost), "where key-swap takes the gateway's private keys: host or secret")
	flags.StringVar(&opt.Secret, "secret", "", "with --key-from secret: `NAMESPACE/NAME.KEY` of the secret")
	for _, name := range []string{"url-base", "snapshot"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was defined above
		}
	}
	return cmd
}

func manifest(dir, snapshotFile string, opt publish.Options) ([]byte, error) {
	binaries := map[string]publish.Binary{}
	for _, p := range publish.Plugins {
		wasm, err := readPlugin(dir, p.Name)
		if err != nil {
			return nil, err
		}
		binaries[p.Name] = wasm
	}
	snap, err := readFile(snapshotFile, policies.MaxSnapshotBytes)
	if err != nil {
		return nil, err
	}
	if _, err := snapshot.Load(snap); err != nil {
		return nil, fmt.Errorf("%s: %w", snapshotFile, err)
	}
	opt.Config = append(append([]byte(`{"snapshot":`), snap...), '}')
	resources, err := publish.WasmPlugins(opt, binaries)
	if err != nil {
		return nil, err
	}
	return publish.Marshal(resources)
}

func newPluginsImage(dir *string) *cobra.Command {
	var out, only string
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Write the plugins as OCI images for a registry",
		Long: `Write the plugins as an OCI image layout: into a folder, or into a file when its
name ends in .tar. Print each image's name in the layout, its tag and its digest,
which is what a WasmPlugin's sha256 has to be.`,
		Example: `  keyward plugins image --out dist/images
  skopeo copy oci:dist/images:gate docker://registry.example.com/keyward/gate:VERSION`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeImages(cmd.OutOrStdout(), *dir, out, only)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "new `folder`, or file that ends in .tar")
	cmd.Flags().StringVar(&only, "plugin", "", "this plugin alone")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag was defined above
	}
	return cmd
}

func writeImages(stdout io.Writer, dir, out, only string) error {
	layout := image.Layout{}
	for _, p := range publish.Plugins {
		if only != "" && only != p.Name {
			continue
		}
		wasm, err := readPlugin(dir, p.Name)
		if err != nil {
			return err
		}
		if layout[p.Name], err = image.New(wasm); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s:%s sha256:%s\n", p.Name, wasm.Version(), layout[p.Name].Digest())
	}
	if len(layout) == 0 {
		return fmt.Errorf("no plugin is called %q", only)
	}
	if !strings.HasSuffix(out, ".tar") {
		return layout.WriteDir(out)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	return errors.Join(layout.WriteTar(f), f.Close())
}

func readPlugin(dir, name string) (publish.Binary, error) {
	return link.ReadFile(filepath.Join(dir, name+".wasm"))
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return b, nil
}
