// Package forward passes the audit log on to others: as decision logs of Open
// Policy Agent, and as logs of OpenTelemetry.
//
// How far each receiver has it is kept in the store, after it said so: nothing is
// lost, and what a receiver took without its answer arriving, or before the
// Manager was killed, is sent again. Each entry has its position in the log, by
// which a receiver knows it again. Receivers get what the log has, and its masks
// have been applied before anything got there.
package forward
