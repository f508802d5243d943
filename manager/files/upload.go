package files

import (
	"fmt"
	"net/http"
	"strconv"

	"keyward/manager"
	"keyward/manager/files/wire"
)

// maxUploadID bounds the id of an upload, in bytes. An object store makes it.
const maxUploadID = 512

// serveUpload does what is asked for with an object that is sent in parts. The
// store knows which object an upload is of, so an id is worth nothing elsewhere.
func (s *Service) serveUpload(c *call, upload string) (op string, answer any, err error) {
	prefix, ok := c.rights.may(c.name, true)
	if !ok {
		return "upload", nil, denied(c, "write")
	}
	if upload == "" {
		if c.Method != http.MethodPost {
			return "upload", nil, errMethod
		}
		answer, err = s.startUpload(c)
		return "upload", answer, err
	}
	if !validUploadID(upload) {
		return "upload", nil, &manager.FieldError{Field: wire.QueryUpload, Why: "is no id of an upload"}
	}
	switch c.Method {
	case http.MethodPut:
		answer, err = s.part(c, prefix, upload)
		return "part", answer, err
	case http.MethodGet:
		parts, err := s.objects.Parts(c.Context(), c.name, upload)
		return "parts", wire.PartList{Parts: parts}, err
	case http.MethodPost:
		answer, err = s.complete(c, upload)
		return "complete", answer, err
	case http.MethodDelete:
		return "abort", nil, s.objects.Abort(c.Context(), c.name, upload)
	default:
		return "upload", nil, errMethod
	}
}

func (s *Service) startUpload(c *call) (wire.Upload, error) {
	var n wire.NewUpload
	if err := c.decode(&n); err != nil {
		return wire.Upload{}, err
	}
	if n.Size < 1 || n.Size > s.opt.MaxBytes {
		return wire.Upload{}, &manager.FieldError{Field: "size", Why: fmt.Sprintf("must be 1 to %d", s.opt.MaxBytes)}
	}
	id, err := s.objects.StartUpload(c.Context(), c.name)
	return wire.Upload{ID: id, PartSize: wire.PartSize}, err
}

func (s *Service) part(c *call, prefix, upload string) (wire.Link, error) {
	most := (s.opt.MaxBytes + wire.PartSize - 1) / wire.PartSize
	text, _ := c.query(wire.QueryPart)
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || int64(number) > most {
		return wire.Link{}, &manager.FieldError{Field: wire.QueryPart, Why: fmt.Sprintf("must be 1 to %d", most)}
	}
	var p wire.Put
	if err := c.decode(&p); err != nil {
		return wire.Link{}, err
	}
	if p.Condition != (wire.Condition{}) {
		return wire.Link{}, &manager.FieldError{Field: "create", Why: "and if_match belong to the request that completes the upload"}
	}
	if err := checkPut(p, wire.PartSize); err != nil {
		return wire.Link{}, err
	}
	return s.objects.SignPart(c.Context(), prefix, c.name, upload, number, p)
}

// complete puts together what has arrived, after a look at it: only now is it
// known how much that is.
func (s *Service) complete(c *call, upload string) (wire.Object, error) {
	var want wire.Complete
	if err := c.decode(&want); err != nil {
		return wire.Object{}, err
	}
	if err := checkCondition(want.Condition); err != nil {
		return wire.Object{}, err
	}
	if err := checkParts(want.Parts, wire.MaxParts); err != nil {
		return wire.Object{}, err
	}
	have, err := s.objects.Parts(c.Context(), c.name, upload)
	if err == nil {
		err = s.checkArrived(want.Parts, have)
	}
	// One that is not there may have been completed before.
	if err != nil && !isNotFound(err) {
		return wire.Object{}, err
	}
	return s.objects.Complete(c.Context(), c.name, upload, want)
}

func (s *Service) checkArrived(want, have []wire.Part) error {
	arrived := map[int]wire.Part{}
	for _, p := range have {
		arrived[p.Number] = p
	}
	var size int64
	for _, p := range want {
		a, ok := arrived[p.Number]
		if !ok || a.ETag != p.ETag {
			return &manager.FieldError{Field: "parts", Why: fmt.Sprintf("part %d has not arrived as it is named", p.Number)}
		}
		size += a.Size
	}
	if size > s.opt.MaxBytes {
		return &manager.FieldError{Field: "parts", Why: fmt.Sprintf("have more than %d bytes", s.opt.MaxBytes)}
	}
	return nil
}

func checkParts(parts []wire.Part, most int) error {
	if len(parts) == 0 || len(parts) > most {
		return &manager.FieldError{Field: "parts", Why: fmt.Sprintf("must be 1 to %d", most)}
	}
	for i, p := range parts {
		if p.Number != i+1 || !wire.ValidETag(p.ETag) || len(p.ETag) != md5Hex {
			return &manager.FieldError{Field: fmt.Sprintf("parts[%d]", i), Why: fmt.Sprintf("must be part %d with its ETag", i+1)}
		}
	}
	return nil
}

// md5Hex is the length of an MD5 in hex.
const md5Hex = 32

func checkPut(p wire.Put, most int64) error {
	if p.Size < 0 || p.Size > most {
		return &manager.FieldError{Field: "size", Why: fmt.Sprintf("must be 0 to %d; what is larger is sent in parts", most)}
	}
	if p.MD5 != "" && (len(p.MD5) != md5Hex || !wire.ValidETag(p.MD5)) {
		return &manager.FieldError{Field: "md5", Why: "must be 32 hex digits in lower case"}
	}
	return nil
}

func checkCondition(c wire.Condition) error {
	if c.Create == (c.IfMatch != "") {
		return &manager.FieldError{Field: "create", Why: "or if_match must be set, so that nobody's version is overwritten unseen"}
	}
	if c.IfMatch != "" && !wire.ValidETag(c.IfMatch) {
		return &manager.FieldError{Field: "if_match", Why: "is no ETag"}
	}
	return nil
}

func validUploadID(s string) bool {
	if len(s) > maxUploadID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
