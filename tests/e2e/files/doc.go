// Package files runs all that brings files to Workers and back: MinIO, a Manager,
// gateways, and keyward-sync as it is in a Worker's image.
package files
