// Package gateway is the embedded gateway: a reverse proxy that takes every
// request through plugins, the same binaries that run in Higress and Envoy. It
// is for one machine, for trying out and for tests.
//
// A request belongs to the worker of its connection, as in Envoy. Its path goes
// on as it was received: plugins decide about ambiguous ones, and routes are
// matched against the same bytes that plugins see.
package gateway
