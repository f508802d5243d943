package compile

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A junitReporter writes results as JUnit XML, which CI systems show: a suite
// for each package, a case for each test.
type junitReporter struct{ w io.Writer }

type junitSuites struct {
	XMLName xml.Name      `xml:"testsuites"`
	Suites  []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Seconds  string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`

	nanoseconds int64
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Seconds string        `xml:"time,attr"`
	Skipped *struct{}     `xml:"skipped"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Report implements tester.Reporter.
func (r junitReporter) Report(results chan *tester.Result) error {
	var all junitSuites
	byName := map[string]*junitSuite{}
	for res := range results {
		s := byName[res.Package]
		if s == nil {
			s = &junitSuite{Name: res.Package}
			byName[res.Package] = s
			all.Suites = append(all.Suites, s)
		}
		s.add(res)
	}
	for _, s := range all.Suites {
		s.Seconds = seconds(s.nanoseconds)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.w, "%s%s\n", xml.Header, b)
	return err
}

func (s *junitSuite) add(res *tester.Result) {
	c := junitCase{Name: res.Name, Class: res.Package, Seconds: seconds(int64(res.Duration)), Output: string(res.Output)}
	if res.Location != nil {
		c.File, c.Line = res.Location.File, res.Location.Row
	}
	s.Tests++
	s.nanoseconds += int64(res.Duration)
	switch {
	case res.Skip:
		c.Skipped = &struct{}{}
		s.Skipped++
	case res.Error != nil:
		c.Error = &junitMessage{Message: res.Error.Error()}
		s.Errors++
	case res.Fail:
		c.Failure = &junitMessage{Message: "the test does not hold"}
		if res.FailedAt != nil {
			c.Failure.Message = res.FailedAt.Location.String() + ": does not hold: " + res.FailedAt.String()
		}
		var trace bytes.Buffer
		topdown.PrettyTraceWithLocation(&trace, res.Trace)
		c.Failure.Text = trace.String()
		s.Failures++
	}
	s.Cases = append(s.Cases, c)
}

func seconds(ns int64) string { return fmt.Sprintf("%.6f", float64(ns)/1e9) }
