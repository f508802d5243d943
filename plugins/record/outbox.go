package record

import (
	"math/rand/v2"
	"strconv"
	"time"

	"keyward/plugins/filter"
	"keyward/policies"
)

// Bounds of what a VM keeps until the Manager has it.
const (
	maxKept      = 4096        // records, and streams that will make one
	maxKeptBytes = 4 << 20     // of records
	maxUnasked   = maxKept / 2 // from which what nobody reserved room for, such as a flood of refusals, is lost
	fewRecords   = 64          // from which a batch is not put off
)

// Times of sending.
const (
	gather    = 60 * time.Millisecond // that records may wait for more
	callTime  = 5 * time.Second       // until a batch was not taken
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
)

// A Destination is where an outbox sends.
type Destination struct {
	Cluster   string // the gateway's name for the Manager's listener for gateways
	Authority string
	Token     string // of the gateway
	Instance  string // what the VMs of one gateway process have in common
}

// A Host is what an outbox needs of its VM.
type Host interface {
	filter.Host
	filter.Caller
}

// An Outbox keeps a VM's records until the Manager has them. One batch is under
// way at a time, so that they arrive in order.
type Outbox struct {
	host Host
	to   Destination
	vm   string

	sequence uint64 // of the record added last
	reserved int
	kept     []byte   // records, joined by commas
	ends     []int    // where each ends in kept
	numbers  []uint64 // and its sequence number
	since    int64    // when the oldest was added, Unix nanoseconds

	sending  int // records of the batch under way; 0: none is
	sent     int64
	next     int64 // no batch before then
	failures int   // in a row
	single   int   // records to send one by one: the Manager refused a batch with them
	onStored func(first, last uint64)
}

// NewOutbox returns an empty outbox of a VM. onStored hears of the records that
// the Manager has now: all that were kept between two sequence numbers.
func NewOutbox(host Host, onStored func(first, last uint64)) *Outbox {
	return &Outbox{host: host, onStored: onStored}
}

// SendTo says where to send. Before, nothing is sent. The name of the VM begins
// with the first instance, and stays: sequence numbers count under it.
func (o *Outbox) SendTo(to Destination) {
	o.to = to
	if o.vm == "" {
		o.vm = to.Instance + "." + strconv.FormatUint(rand.Uint64(), 16)
	}
}

// Flush sends what there is, however new.
func (o *Outbox) Flush(now int64) { o.Tick(now, true) }

// Reserve keeps room for a record to come, or reports that there is none.
func (o *Outbox) Reserve() bool {
	if o.full() {
		return false
	}
	o.reserved++
	return true
}

func (o *Outbox) full() bool {
	return len(o.ends)+o.reserved >= maxKept || len(o.kept) >= maxKeptBytes
}

// Free gives back the room of a record that will not come.
func (o *Outbox) Free() { o.reserved-- }

// Add gives a record its number and keeps it. Without room, reserved or not, it
// is lost; its number is not, by which the Manager will know. Then it returns 0.
func (o *Outbox) Add(r *policies.Record, reserved bool, now int64) uint64 {
	o.sequence++
	r.Sequence = o.sequence
	switch {
	case reserved:
		o.reserved--
	case len(o.ends) >= maxUnasked || len(o.kept) >= maxKeptBytes:
		return 0
	}
	if len(o.ends) == 0 {
		o.since = now
	} else {
		o.kept = append(o.kept, ',')
	}
	o.kept = Append(o.kept, r)
	o.ends, o.numbers = append(o.ends, len(o.kept)), append(o.numbers, r.Sequence)
	return o.sequence
}

// Tick sends what has waited long enough; waiting says that somebody waits for
// the answer.
func (o *Outbox) Tick(now int64, waiting bool) {
	if o.sending > 0 {
		if now-o.sent < int64(2*callTime) {
			return
		}
		o.sending = 0 // the context of the call is gone, and the answer with it
		o.fail(now, "no answer")
	}
	if len(o.ends) == 0 || now < o.next {
		return
	}
	if !waiting && len(o.ends) < fewRecords && now-o.since < int64(gather) {
		return
	}
	o.send(now)
}

func (o *Outbox) send(now int64) {
	n := min(len(o.ends), MaxRecords)
	if o.single > 0 {
		n = 1
	}
	for n > 1 && o.ends[n-1] > MaxBytes/2 {
		n--
	}
	o.sending, o.sent = n, now
	err := o.host.Call(filter.Call{
		Cluster: o.to.Cluster,
		Headers: [][2]string{
			{":method", "POST"},
			{":path", Path},
			{":authority", o.to.Authority},
			{"authorization", "Bearer " + o.to.Token},
			{"content-type", "application/json"},
		},
		Body:    Encode(o.vm, o.kept[:o.ends[n-1]]),
		Timeout: callTime,
	}, 1<<16, func(a filter.Answer) {
		if o.sending == n && o.sent == now { // not one that was given up
			o.sending = 0
			o.answered(n, a)
		}
	})
	if err != nil {
		o.sending = 0
		o.fail(now, err.Error())
	}
}

// answered takes the answer to a batch of n records.
func (o *Outbox) answered(n int, a filter.Answer) {
	now := o.host.Now()
	switch {
	case a.Status == 204:
		o.onStored(o.numbers[0], o.numbers[n-1])
		o.drop(n, now)
		o.single = max(0, o.single-n)
		o.failures, o.next = 0, 0
	case (a.Status == 400 || a.Status == 413) && n > 1:
		o.single = n
	case a.Status == 400 || a.Status == 413:
		// It would stop all that come after it. Its number will be missed.
		o.host.Log(filter.Error, "record: the Manager refuses a record, which is lost")
		o.drop(1, now)
		o.single = max(0, o.single-1)
	default:
		o.fail(now, "status "+strconv.Itoa(a.Status))
	}
}

// drop forgets the first n records.
func (o *Outbox) drop(n int, now int64) {
	if n == len(o.ends) {
		o.kept, o.ends, o.numbers = o.kept[:0], o.ends[:0], o.numbers[:0]
		return
	}
	cut := o.ends[n-1] + 1 // the comma too
	o.kept = append(o.kept[:0], o.kept[cut:]...)
	o.ends, o.numbers = append(o.ends[:0], o.ends[n:]...), append(o.numbers[:0], o.numbers[n:]...)
	for i := range o.ends {
		o.ends[i] -= cut
	}
	o.since = now
}

// fail puts the next batch off, ever longer.
func (o *Outbox) fail(now int64, why string) {
	pause := min(firstWait<<min(o.failures, 10), longWait)
	o.failures++
	o.next = now + int64(pause)/2 + rand.Int64N(int64(pause)/2)
	o.host.Log(filter.Warn, "record: batch "+strconv.Itoa(o.failures)+" in a row was not taken: "+why)
}
