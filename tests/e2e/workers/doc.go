// Package workers runs Workers in containers of a real engine: what they must be
// able to do, and all that they must not.
package workers
