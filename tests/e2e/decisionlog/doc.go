// Package decisionlog reads what Keyward passes on as a decision log by the types
// of Open Policy Agent itself.
package decisionlog
