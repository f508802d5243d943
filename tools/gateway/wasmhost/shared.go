package wasmhost

import (
	"bytes"
	"sync"
)

// sharedData is what VMs of one vm_id share, whichever plugin runs in them.
// VMs without a vm_id share one space, too.
type sharedData struct {
	mu      sync.Mutex
	nextCAS uint32
	spaces  map[string]map[string]sharedValue
	bytes   int64 // of all keys and values
}

type sharedValue struct {
	value []byte // never changed in place
	cas   uint32
}

func (d *sharedData) get(vmID, key string) (sharedValue, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.spaces[vmID][key]
	return v, ok
}

// set stores a copy of value. cas 0 stores in any case, and so does any cas
// while the key is missing.
func (d *sharedData) set(vmID, key string, value []byte, cas uint32) status {
	d.mu.Lock()
	defer d.mu.Unlock()
	space := d.spaces[vmID]
	if space == nil {
		if d.spaces == nil {
			d.spaces = map[string]map[string]sharedValue{}
		}
		space = map[string]sharedValue{}
		d.spaces[vmID] = space
	}
	old, ok := space[key]
	if ok && cas != 0 && cas != old.cas {
		return statusCASMismatch
	}
	if !ok {
		d.bytes += int64(len(key))
	}
	d.bytes += int64(len(value) - len(old.value))
	d.nextCAS++
	if d.nextCAS == 0 { // 0 means "in any case"
		d.nextCAS = 1
	}
	space[key] = sharedValue{bytes.Clone(value), d.nextCAS}
	return statusOK
}
