package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/policies"
)

var full = policies.Record{
	Type: policies.RecordDecision, ID: "01J", Time: time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC), Sequence: 9,
	Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Host: "gw.local", Method: "tools/call", Name: "x\"\n\u202e",
	Verdict: policies.Ask, Reason: policies.AskFirst, Details: []string{"a", "b"}, Rules: []string{"policy.rego:12"},
	Policy: "p3", Generation: 17, Status: 403, RequestBytes: 1, ResponseBytes: 2, Duration: 3,
	Model: "gpt-5", Tokens: &policies.Tokens{Input: 12, Output: 30},
	Digest: strings.Repeat("ab", 32), Arguments: `{"a":[1,"<x>"]}`, Erased: []string{"/arguments/b"}, Masked: []string{"/arguments/c"},
}

func TestABatchIsReadAsItWasWritten(t *testing.T) {
	least := policies.Record{Type: policies.RecordCut, ID: "x", Time: time.Unix(1, 0).UTC(), Sequence: 10}
	b := Append(nil, &full)
	b = Append(append(b, ','), &least)
	got, err := Decode(Encode("vm-1", b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Batch{VM: "vm-1", Records: []policies.Record{full, least}}, got); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
}

func TestTimesAreWrittenAsPackageTimeReadsThem(t *testing.T) {
	day := int64(24 * time.Hour)
	for n := int64(0); n < 80_000; n++ { // into the year 2189
		ns := n*day + n*1_234_567_891%day
		got, err := time.Parse(time.RFC3339Nano, string(appendTime(nil, ns)))
		if err != nil || got.UnixNano() != ns {
			t.Fatalf("%d is written %s, read as %v, %v", ns, appendTime(nil, ns), got.UnixNano(), err)
		}
	}
}

// The Manager keeps records by their struct tags.
func TestTheWireFormIsTheStructs(t *testing.T) {
	var got policies.Record
	d := json.NewDecoder(bytes.NewReader(Append(nil, &full)))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoBatchIsRefused(t *testing.T) {
	good := string(Encode("vm", Append(nil, &full)))
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	two := string(Encode("vm", Append(append(Append(nil, &full), ','), &full)))
	long := full
	long.Name = strings.Repeat("n", policies.MaxRecordText+1)
	deep := full
	deep.Arguments = policies.JSON(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))
	huge := full
	huge.Arguments = policies.JSON(`"` + strings.Repeat("n", policies.MaxRecordArguments) + `"`)
	many := full
	many.Rules = make([]string, policies.MaxRecordList+1)
	for name, s := range map[string]string{
		"nothing":                "",
		"no object":              "[]",
		"trailing text":          good + "x",
		"no VM":                  strings.Replace(good, `"vm":"vm",`, "", 1),
		"VM without a name":      strings.Replace(good, `"vm":"vm"`, `"vm":""`, 1),
		"VM with a long name":    strings.Replace(good, `"vm":"vm"`, `"vm":"`+strings.Repeat("v", 65)+`"`, 1),
		"no records":             `{"vm":"vm","records":[]}`,
		"unknown member":         strings.Replace(good, `"host"`, `"hosts"`, 1),
		"name in another case":   strings.Replace(good, `"host"`, `"Host"`, 1),
		"member twice":           strings.Replace(good, `"host"`, `"kind":"mcp","host"`, 1),
		"null":                   strings.Replace(good, `"status":403`, `"status":null`, 1),
		"unknown type":           strings.Replace(good, `"decision"`, `"action"`, 1),
		"unknown kind":           strings.Replace(good, `"kind":"mcp"`, `"kind":"x"`, 1),
		"unknown verdict":        strings.Replace(good, `"ask"`, `"yes"`, 1),
		"no sequence":            strings.Replace(good, `"sequence":9,`, "", 1),
		"sequence 0":             strings.Replace(good, `"sequence":9`, `"sequence":0`, 1),
		"sequence below 0":       strings.Replace(good, `"sequence":9`, `"sequence":-1`, 1),
		"sequence of 64 bits":    strings.Replace(good, `"sequence":9`, `"sequence":9223372036854775808`, 1),
		"sequence as a fraction": strings.Replace(good, `"sequence":9`, `"sequence":9.0`, 1),
		"status beyond":          strings.Replace(good, `403`, `1000`, 1),
		"another zone":           strings.Replace(good, `123456789Z`, `123456789+01:00`, 1),
		"no time":                strings.Replace(good, `2026-05-04T03:02:01.123456789Z`, `now`, 1),
		"one number twice":       two,
		"long name":              string(Encode("vm", Append(nil, &long))),
		"deep arguments":         string(Encode("vm", Append(nil, &deep))),
		"huge arguments":         string(Encode("vm", Append(nil, &huge))),
		"many rules":             string(Encode("vm", Append(nil, &many))),
		"bad UTF-8":              strings.Replace(good, "gw.local", "gw\xff", 1),
		"beyond the bound":       good + strings.Repeat(" ", MaxBytes),
	} {
		if s == good {
			t.Errorf("%s: the row changes nothing", name)
		}
		if b, err := Decode([]byte(s)); err == nil {
			t.Errorf("%s: read as %+v", name, b)
		}
	}
}

// What is read is written and read again as the same.
func FuzzDecode(f *testing.F) {
	f.Add(Encode("vm", Append(nil, &full)))
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := Decode(b)
		if err != nil {
			return
		}
		var records []byte
		for i := range batch.Records {
			if i > 0 {
				records = append(records, ',')
			}
			records = Append(records, &batch.Records[i])
		}
		again, err := Decode(Encode(batch.VM, records))
		if err != nil {
			t.Fatalf("%q can't be read again: %v", records, err)
		}
		for i := range again.Records {
			if again.Records[i].ID != batch.Records[i].ID || again.Records[i].Arguments != batch.Records[i].Arguments {
				t.Errorf("read %+v, then %+v", batch.Records[i], again.Records[i])
			}
		}
	})
}
