// Package e2e runs real clients against real servers, through each of the two
// gateways: the embedded one and Envoy. A client holds nothing but a consumer
// token; every server accepts nothing but its real key.
package e2e
