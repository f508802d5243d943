// Command evaluator evaluates programs that it reads from its standard input,
// until that ends. Compiled to wasip1 it shows that the engine means in
// WebAssembly what it means on its host.
//
// A request is a program, a program that returns the input or nothing, whether
// to be strict (1 or 0), the time, and the limits in their order. An answer is an error code and message,
// or two empty texts, and the result as JSON, or nothing when it is undefined.
// Texts are bytes after their number; all numbers are 64 bits, little-endian.
package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"

	"keyward/policies/engine"
)

// maxBytes bounds one text of a request.
const maxBytes = 64 << 20

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		r := reader{from: in}
		program, input := r.text(), r.text()
		strict, now := r.number() == 1, r.number()
		limits := engine.Limits{Instructions: int(r.number()), Memory: int(r.number()), Depth: int(r.number()), Output: int(r.number())}
		if r.err != nil {
			return
		}
		answer(out, program, input, strict, now, limits)
		if out.Flush() != nil {
			return
		}
	}
}

func answer(out io.Writer, program, input []byte, strict bool, now int64, limits engine.Limits) {
	v, err := eval(program, input, strict, now, limits)
	if err != nil {
		write(out, string(err.Code), err.Message, "")
		return
	}
	text := ""
	if !v.IsUndefined() {
		text = v.String()
	}
	write(out, "", "", text)
}

func eval(program, input []byte, strict bool, now int64, limits engine.Limits) (engine.Value, *engine.Error) {
	var in engine.Value
	if len(input) > 0 {
		var err *engine.Error
		if in, err = eval(input, nil, true, 0, engine.Limits{Output: maxBytes}); err != nil {
			return engine.Value{}, err
		}
	}
	p, err := engine.Load(program)
	if err != nil {
		return engine.Value{}, &engine.Error{Code: engine.ErrUse, Message: err.Error()}
	}
	vm := p.NewVM(limits)
	vm.Strict(strict)
	vm.Begin(in, now)
	e, _ := p.Entrypoint(p.Entrypoints()[0])
	v, err := vm.Eval(e)
	if err != nil {
		return engine.Value{}, err.(*engine.Error)
	}
	return v, nil
}

// A reader reads requests; after its first error all is empty.
type reader struct {
	from io.Reader
	err  error
}

func (r *reader) number() int64 {
	var b [8]byte
	if r.err == nil {
		_, r.err = io.ReadFull(r.from, b[:])
	}
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func (r *reader) text() []byte {
	n := r.number()
	if n < 0 || n > maxBytes {
		r.err = io.ErrUnexpectedEOF
	}
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.from, b)
	return b
}

func write(out io.Writer, texts ...string) {
	for _, s := range texts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		out.Write(n[:]) // an error shows when the buffer is flushed
		io.WriteString(out, s)
	}
}
