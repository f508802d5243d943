// Package publish brings Keyward's plugins to a Higress gateway: as WasmPlugin
// resources (extensions.higress.io/v1alpha1) and, in package image, as OCI
// images.
package publish
