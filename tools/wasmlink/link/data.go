package link

import (
	"errors"
	"fmt"

	"keyward/tools/wasmlink/leb"
)

// maxImage bounds the memory that data segments fill, in bytes.
const maxImage = 64 << 20

// minGap is the length of a run of zeros that is worth a segment of its own on
// either side: memory is zero anyway.
const minGap = 9

const (
	dataSection      = 11
	dataCountSection = 12
	constI32         = 0x41
	endExpression    = 0x0b
)

var errDataForm = errors.New("only active segments of memory 0 at constant places are known")

// readData returns the memory as the data section leaves it (section 5.5.14).
func readData(body []byte) ([]byte, error) {
	r := &reader{b: body}
	var image []byte
	r.vector(func() {
		if mode, op := r.byte(), r.byte(); mode != 0 || op != constI32 {
			r.fail(errDataForm)
		}
		at := r.s32()
		if r.byte() != endExpression {
			r.fail(errDataForm)
		}
		b := r.bytes()
		end := int64(at) + int64(len(b))
		if at < 0 || end > maxImage {
			r.fail(fmt.Errorf("segment at %d with %d bytes is out of bounds", at, len(b)))
		}
		if r.err != nil {
			return
		}
		if end > int64(len(image)) {
			image = append(image, make([]byte, end-int64(len(image)))...)
		}
		copy(image[at:], b)
	})
	return image, r.end()
}

// appendData writes a data section that leaves memory as image has it.
func appendData(out, image []byte) []byte {
	var body []byte
	count := uint32(0)
	for at := 0; at < len(image); {
		if image[at] == 0 {
			at++
			continue
		}
		end, zeros := at, 0
		for i := at; i < len(image) && zeros < minGap; i++ {
			if image[i] == 0 {
				zeros++
				continue
			}
			end, zeros = i+1, 0
		}
		body = append(body, 0, constI32)
		body = leb.AppendSigned(body, int64(int32(at)))
		body = append(body, endExpression)
		body = leb.AppendUnsigned(body, uint32(end-at))
		body = append(body, image[at:end]...)
		count++
		at = end
	}
	body = append(leb.AppendUnsigned(nil, count), body...)
	out = append(out, dataSection)
	out = leb.AppendUnsigned(out, uint32(len(body)))
	return append(out, body...)
}

// s32 reads a signed LEB128 of at most 32 bits (section 5.2.2).
func (r *reader) s32() int32 {
	var v int32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift > 28 {
			r.fail(errLEB)
			return 0
		}
		v |= int32(c&0x7f) << shift
		if c < 0x80 {
			if shift < 28 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}
