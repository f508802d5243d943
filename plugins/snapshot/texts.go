package snapshot

import "keyward/plugins/internal/strict"

// Texts are the entries of a snapshot as they stood in it, in its order.
type Texts struct{ Targets, Consumers, Credentials [][]byte }

// DecodeTexts is [Decode], with the entries' texts, which are parts of b.
func DecodeTexts(b []byte) (*Snapshot, *Texts, error) {
	t := &Texts{}
	s, err := decode(b, func(r *strict.Reader, s *Snapshot) error { return readSnapshot(r, s, t) }, checkSnapshot)
	return s, t, err
}

// texts is [list] with the text of each element.
func texts[T any](r *strict.Reader, dst *[]T, all *[][]byte, limit int, read func(*strict.Reader, *T) error) error {
	return r.Array(limit, func() error {
		var v T
		text, err := r.Text(func() error { return read(r, &v) })
		*dst, *all = append(*dst, v), append(*all, text)
		return err
	})
}
