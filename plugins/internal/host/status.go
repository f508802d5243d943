package host

import (
	"errors"
	"strconv"

	"keyward/plugins/filter"
)

// A status is how a call to the host ended.
type status uint32

const (
	done          status = 0
	notFound      status = 1
	changed       status = 8 // shared data is of another version
	unimplemented status = 12
)

// The kinds of header maps and buffers that are no side of a stream.
const (
	callHeaders = 6 // of the answer to a call
	callBody    = 4
	pluginBytes = 7 // a plugin's configuration
)

var errHost = errors.New("the host returned what is not where it was told to put it")

func (s status) err() error {
	switch s {
	case done:
		return nil
	case notFound:
		return filter.ErrNotFound
	case changed:
		return filter.ErrChanged
	default:
		return errors.New("the host says no: status " + strconv.FormatUint(uint64(s), 10))
	}
}
