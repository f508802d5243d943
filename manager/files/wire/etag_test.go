package wire_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"testing"

	"keyward/manager/files/wire"
)

func TestSumOf(t *testing.T) {
	hash := func(b []byte) string { s := md5.Sum(b); return hex.EncodeToString(s[:]) }
	for _, size := range []int{0, 1, wire.PartSize, wire.PartSize + 1, 2 * wire.PartSize} {
		b := bytes.Repeat([]byte{7}, size)
		got, err := wire.SumOf(bytes.NewReader(b))
		if err != nil || got.Size != int64(size) || len(got.Parts) != wire.Parts(got.Size) || !wire.ValidETag(got.ETag) {
			t.Errorf("%d bytes: %+v, %v", size, got, err)
		}
		if wire.Parts(got.Size) == 0 && got.ETag != hash(b) {
			t.Errorf("%d bytes: ETag %q", size, got.ETag)
		}
	}
	// As S3 has it: the hash of the parts' hashes, and how many there are.
	b := bytes.Repeat([]byte{7}, wire.PartSize+1)
	first, second := md5.Sum(b[:wire.PartSize]), md5.Sum(b[wire.PartSize:])
	got, err := wire.SumOf(bytes.NewReader(b))
	if want := hash(append(first[:], second[:]...)) + "-2"; err != nil || got.ETag != want {
		t.Errorf("ETag %q, %v, want %q", got.ETag, err, want)
	}
}

func TestValidETag(t *testing.T) {
	sum := "d41d8cd98f00b204e9800998ecf8427e"
	for s, want := range map[string]bool{
		sum: true, sum + "-1": true, sum + "-10000": true,
		"": false, "*": false, sum + "-": false, sum + "-0": false, sum + "-10001": false, sum + "-01": false, sum[1:]: false, `"` + sum + `"`: false,
		"D41D8CD98F00B204E9800998ECF8427E": false, sum + "\r\nx: y": false,
	} {
		if wire.ValidETag(s) != want {
			t.Errorf("ValidETag(%q) = %v", s, !want)
		}
	}
}
