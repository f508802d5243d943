package admission

import (
	"strconv"
	"strings"

	"keyward/policies"
	"keyward/policies/engine"
)

// masked stands where something was.
const masked = "***"

// maxMaskDepth bounds the nesting of arguments that are kept.
const maxMaskDepth = 32

// arguments are where in a mask's paths, and in the record, arguments stand.
const (
	maskedInput  = "/input/mcp/arguments"
	inRecord     = "/arguments"
	secretLength = 12 // characters of a secret behind its prefix
)

// A masker writes what of a call's arguments is kept.
type masker struct {
	out    []byte
	at     []byte // JSON pointer of the value that is being written
	policy map[string]engine.Value
	r      *policies.Record
	over   bool // beyond a bound
}

// keepArguments adds the arguments of a call to its record: without what the
// policy's mask takes, and without what looks like a secret. What is beyond a
// bound, or can't be masked, is left out altogether.
func (x *stream) keepArguments(r *policies.Record) {
	m := &masker{r: r, at: []byte(inRecord)}
	var ok bool
	if m.policy, ok = x.mask(); !ok {
		m.over = true
	}
	if v, there := m.policy[inRecord]; there {
		if m.over = m.over || v.IsUndefined(); !m.over {
			m.note(&r.Masked)
			m.out = v.AppendJSON(nil)
		}
	} else if !m.over {
		m.value(x.msg.Arguments, 0)
	}
	if m.over || len(m.out) > policies.MaxRecordArguments {
		r.Erased, r.Masked = []string{inRecord}, nil
		return
	}
	r.Arguments = policies.JSON(m.out)
}

// mask asks the policy what to take away, as OPA's data.system.log.mask does: a
// set of paths to remove, or of objects with op, path and value. The result maps
// pointers into the record to what goes there; undefined: nothing does. ok is
// false when the policy failed, or says what is not understood.
func (x *stream) mask() (paths map[string]engine.Value, ok bool) {
	s := x.state
	if !s.mask.there {
		return nil, true
	}
	var in engine.ObjectBuilder
	in.Set("decision_id", engine.String(x.account.decision.ID))
	in.Set("input", x.parties.input(&x.room.input, x.target.Kind, x.http, x.call))
	s.vm.Begin(in.Value(), x.now)
	set, err := s.eval(s.mask)
	if err != nil {
		return nil, false
	}
	if set.IsUndefined() {
		return nil, true
	}
	if set.Kind() != engine.KindSet {
		return nil, false
	}
	paths = map[string]engine.Value{}
	for v := range set.Elems() {
		path, value, known := maskRule(v)
		if !known {
			return nil, false
		}
		if rest, inside := strings.CutPrefix(path, maskedInput); inside && (rest == "" || rest[0] == '/') {
			paths[inRecord+rest] = value
		}
	}
	return paths, true
}

// maskRule reads one element of a mask.
func maskRule(v engine.Value) (path string, value engine.Value, ok bool) {
	if path, ok = v.Str(); ok {
		return path, engine.Value{}, true
	}
	if v.Kind() != engine.KindObject {
		return "", engine.Value{}, false
	}
	var op string
	for key, member := range v.All() {
		switch name, _ := key.Str(); name {
		case "op":
			op, _ = member.Str()
		case "path":
			path, _ = member.Str()
		case "value":
			value = member
		}
	}
	switch op {
	case "remove":
		return path, engine.Value{}, path != ""
	case "upsert":
		return path, value, path != "" && !value.IsUndefined()
	default:
		return "", engine.Value{}, false
	}
}

func (m *masker) note(list *[]string) {
	if len(*list) == policies.MaxRecordList || len(m.at) > maxPointer {
		m.over = true // what was taken must be told
		return
	}
	*list = append(*list, string(m.at))
}

// maxPointer bounds a JSON pointer in a record, in bytes.
const maxPointer = 256

func (m *masker) value(v engine.Value, depth int) {
	if depth > maxMaskDepth || len(m.out) > policies.MaxRecordArguments {
		m.over = true
	}
	if m.over {
		return
	}
	switch v.Kind() {
	case engine.KindString:
		s, _ := v.Str()
		clean, found := redact(s)
		if found {
			m.note(&m.r.Masked)
		}
		m.out = engine.AppendJSONString(m.out, clean)
	case engine.KindArray:
		m.out = append(m.out, '[')
		i, begin := 0, len(m.out)
		for e := range v.Elems() {
			m.member(strconv.Itoa(i), "", begin, e, depth)
			i++
		}
		m.out = append(m.out, ']')
	case engine.KindObject:
		m.out = append(m.out, '{')
		begin := len(m.out)
		for key, e := range v.All() {
			name, _ := key.Str()
			m.member(name, name, begin, e, depth)
		}
		m.out = append(m.out, '}')
	default:
		m.out = v.AppendJSON(m.out)
	}
}

// member writes an element of an array or, with a name, a member of an object;
// begin is where the first one begins.
func (m *masker) member(token, name string, begin int, v engine.Value, depth int) {
	at := len(m.at)
	defer func() { m.at = m.at[:at] }()
	m.at = append(append(m.at, '/'), pointerEscaper.Replace(token)...)
	instead, there := m.policy[string(m.at)]
	if there && instead.IsUndefined() {
		if m.note(&m.r.Erased); name != "" {
			return
		}
		instead = engine.Null // the places of the others stay
	}
	if len(m.out) > begin {
		m.out = append(m.out, ',')
	}
	if name != "" {
		clean, _ := redact(name)
		m.out = append(engine.AppendJSONString(m.out, clean), ':')
	}
	switch {
	case there:
		if !instead.IsUndefined() && instead.Kind() != engine.KindNull {
			m.note(&m.r.Masked)
		}
		m.out = instead.AppendJSON(m.out)
	case secretName(name):
		m.note(&m.r.Masked)
		m.out = append(m.out, `"`+masked+`"`...)
	default:
		m.value(v, depth+1)
	}
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// secretName reports whether a member of this name holds a secret by custom.
func secretName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	name = strings.ToLower(name)
	for _, word := range [...]string{"password", "passwd", "secret", "token", "api_key", "apikey", "api-key", "authorization", "private_key", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// prefixes are how secrets of well-known issuers begin.
var prefixes = [...]string{
	"kwt_", "kwa_", "kwg_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-", "sk_live_", "rk_live_",
	"xoxb-", "xoxp-", "xoxa-", "xoxr-", "AKIA", "ASIA", "AIza", "ya29.", "eyJ", "npm_", "pypi-", "hf_", "dop_v1_", "SG.",
	"Bearer ", "bearer ", "Basic ", "basic ",
}

const privateKey = "-----BEGIN "

// redact takes out of s what looks like a secret.
func redact(s string) (string, bool) {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		if i > 0 && secretByte(s[i-1]) && s[i-1] != '=' && s[i-1] != '/' {
			continue
		}
		n := secretAt(s[i:])
		if n == 0 {
			continue
		}
		b.WriteString(s[done:i])
		b.WriteString(masked)
		done = i + n
		i = done - 1
	}
	if done == 0 {
		return s, false
	}
	b.WriteString(s[done:])
	return b.String(), true
}

// secretAt is how long the secret is with which s begins; 0: it begins with none.
func secretAt(s string) int {
	switch s[0] {
	case '-':
		if strings.HasPrefix(s, privateKey) {
			return len(s)
		}
		return 0
	case 'k', 'g', 's', 'r', 'x', 'A', 'y', 'e', 'n', 'p', 'h', 'd', 'S', 'B', 'b':
	default:
		return 0
	}
	for _, p := range prefixes {
		if !strings.HasPrefix(s, p) {
			continue
		}
		n := len(p)
		for n < len(s) && secretByte(s[n]) {
			n++
		}
		if n-len(p) >= secretLength {
			return n
		}
	}
	return 0
}

func secretByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-.+/=~", c) >= 0
}
