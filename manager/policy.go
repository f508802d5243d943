package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds of one policy version.
const (
	MaxModules     = 64
	MaxPolicyBytes = 512 << 10 // modules and data together
	maxModulePath  = 256
)

// A Policy is one version of the Rego policy. At most one is live.
type Policy struct {
	Meta
	Note      string    `json:"note,omitempty" doc:"Free text"`
	Digest    string    `json:"digest" doc:"SHA-256 over the modules and data"`
	Live      bool      `json:"live" doc:"Whether it decides now"`
	Published time.Time `json:"published,omitzero" doc:"Last time that it went live; absent: never"`
}

// A PolicyText is a policy version with what it is made of.
type PolicyText struct {
	Policy
	PolicySource
}

// A PolicySource is what a policy is made of.
type PolicySource struct {
	Modules map[string]string `json:"modules" minProperties:"1" maxProperties:"64" doc:"File name to Rego text; names that end in _test.rego hold tests"`
	Data    json.RawMessage   `json:"data,omitempty" doc:"Base data document, a JSON object"`
}

// A PolicySpec is a policy version that is to be kept.
type PolicySpec struct {
	PolicySource
	Note string `json:"note,omitempty" maxLength:"200" doc:"Free text"`
}

// Validate checks s, but not its Rego.
func (s PolicySpec) Validate() error {
	if err := validText("note", s.Note, 0, 200); err != nil {
		return err
	}
	return s.PolicySource.Validate()
}

// Validate checks s, but not its Rego.
func (s PolicySource) Validate() error {
	if len(s.Modules) == 0 || len(s.Modules) > MaxModules {
		return invalid("modules", "must have 1 to %d entries", MaxModules)
	}
	size := len(s.Data)
	for name, text := range s.Modules {
		size += len(text)
		if err := validText("modules", name, 1, maxModulePath); err != nil {
			return err
		}
		if !strings.HasSuffix(name, ".rego") || !filepath.IsLocal(name) || strings.Contains(name, `\`) {
			return invalid("modules", "%q is not a relative file name that ends in .rego", name)
		}
	}
	if size > MaxPolicyBytes {
		return invalid("modules", "must have at most %d bytes, data included", MaxPolicyBytes)
	}
	if len(s.Data) > 0 && !isObject(s.Data) {
		return invalid("data", "must be a JSON object")
	}
	return nil
}

func isObject(b json.RawMessage) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(b, &m) == nil && m != nil
}

// Names returns the file names of s in order.
func (s PolicySource) Names() []string {
	names := make([]string, 0, len(s.Modules))
	for n := range s.Modules {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Sum is the SHA-256 over s in its JSON form, in hex.
func (s PolicySource) Sum() (string, error) {
	b, err := json.Marshal(s)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// A Compiler turns a policy into what a gateway runs. Its errors that tell of a
// fault in the policy are a [PolicyError]; any other is the compiler's own.
type Compiler interface {
	// Compile returns the program.
	Compile(ctx context.Context, src PolicySource) ([]byte, error)
	// Test runs the tests among the modules.
	Test(ctx context.Context, src PolicySource) (PolicyTests, error)
}

// PolicyTests is the outcome of a policy's own tests.
type PolicyTests struct {
	Passed bool   `json:"passed" doc:"Whether every test passed; true when there are none"`
	Report string `json:"report" doc:"What failed and why, as opa test writes it"`
}

// A PolicyError lists what is wrong with a policy.
type PolicyError struct{ Faults []PolicyFault }

// A PolicyFault is one fault and its place.
type PolicyFault struct {
	File    string `json:"file" doc:"Name of the module"`
	Row     int    `json:"row" doc:"Counts from 1; 0: the file as a whole"`
	Column  int    `json:"column" doc:"Counts from 1"`
	Message string `json:"message"`
}

func (f PolicyFault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Row, f.Column, f.Message)
}

func (e *PolicyError) Error() string {
	if len(e.Faults) == 0 {
		return "policy: " + ErrInvalid.Error()
	}
	s := e.Faults[0].String()
	if n := len(e.Faults) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

func (e *PolicyError) Unwrap() error { return ErrInvalid }
