// Package record is how a gateway's VM tells the Manager what it decided: records
// in batches, as JSON.
//
// A VM sends one batch at a time to [Path] and repeats it until it is answered
// with 204, so that every record arrives at least once; by name of the VM and
// sequence number the Manager keeps each once. What a gateway sends is read
// strictly and within bounds: the VM that read a client's bytes may have been
// taken over by them.
package record
