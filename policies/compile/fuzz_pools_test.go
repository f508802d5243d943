package compile

// pools are texts, as Rego writes them, that builtins make something of.
var pools = map[string][]string{
	"string": {`""`, `"a"`, `"b"`, `"ab"`, `"a,b,c"`, `"é"`, `"Ünï"`, `"A b"`, `" x "`, `"10"`, `"1.50"`, `"-3"`, `"1e3"`, `"true"`, `"\u0000"`, `"日本"`, `"x.y.z"`, `"<&>"`, `"a\nb"`, `"aaa"`},
	"number": {"0", "1", "-1", "2", "3", "7", "10", "255", "1.5", "-2.5", "0.1", "1e3", "1.0", "100000000000000000000", "9223372036854775807", "-9223372036854775808", "1e-7", "3.14159", "1e21", "0.30000000000000004", "18446744073709551616"},
	"small":  {"0", "1", "2", "3", "-1", "-2", "5", "10", "1.5", "1e1"},
	"base":   {"2", "8", "10", "16", "3", "16.0"},

	"regex":     {`"a"`, `"^a+$"`, `"[a-z]+"`, `"(a)(b)?"`, `"\\d+"`, `"."`, `""`, `"a|b"`, `"("`, `"(?i)A"`, `"\\bx"`, `"(?P<n>.)"`, `"b*"`},
	"replace":   {`"x"`, `"$1"`, `"${1}y"`, `""`, `"$0$0"`, `"$n"`},
	"glob":      {`"*"`, `"a*"`, `"*.z"`, `"**"`, `"?"`, `"{a,b}"`, `"[a-c]"`, `"[!a]"`, `"a.*.c"`, `"x.**"`, `"["`, `"\\*"`, `"{a,{b,c}}"`, `"a*b*"`},
	"dot-glob":  {`"a.*"`, `"[a-c]+"`, `".*b"`, `"ab"`, `"a+b"`, `"["`, `"a**"`, `"[ab][bc]"`, `"x.y.z"`},
	"delimiter": {`"<"`, `">"`, `"{"`, `"}"`, `"<<"`, `""`},
	"template":  {`"<[a-z]+>.y.<.*>"`, `"{a+}b"`, `"a<b"`, `"<a|b>"`, `"x.<y>.z"`},
	"cidr":      {`"10.0.0.0/8"`, `"10.1.2.0/24"`, `"10.1.3.0/24"`, `"192.168.0.0/30"`, `"10.1.2.3/32"`, `"2001:db8::/126"`, `"::/0"`, `"0.0.0.0/0"`, `"10.1.2.300/8"`, `"1.2.3.4"`, `"::1"`, `"2001:db8::5"`, `"fe80::1%eth0"`, `"10.0.0.1/33"`, `"a"`, `"2001:db8::4/126"`},
	"block":     {`"10.1.2.0/30"`, `"192.168.0.9/29"`, `"2001:db8::/126"`, `"10.0.0.0/33"`, `"1.2.3.4"`, `"1.2.3.4/32"`},
	"semver":    {`"1.2.3"`, `"v1.2.3"`, `"1.2.3-rc.1"`, `"1.2.3-rc.2+b"`, `"1.2.3-alpha"`, `"01.2.3"`, `"1.2"`, `"1.10.0"`, `"1.2.3-1"`, `"1.2.3-1.a"`, `"1.2.3-"`, `"1.2.3+a..b"`},
	"units":     {`"10"`, `"10m"`, `"1.5Mi"`, `"2KB"`, `"3kib"`, `"1e3k"`, `"1E"`, `"1e"`, `"10 k"`, `"k"`, `"-1k"`, `"\"2G\""`, `"1.0000001G"`, `"0.5mb"`, `"1Ti"`, `"+5"`, `"1EiB"`, `"1..2k"`, `".5g"`},
	"uuid":      {`"c2fc67c2-47f2-11ee-b67a-9f3619c7493f"`, `"000003e8-48b9-21ee-b200-325096b39f47"`, `"{00000000-0000-4000-8000-000000000000}"`, `"urn:uuid:00000000-0000-5cd1-f4e0-9bab06a52ece"`, `"00000000000040008000000000000000"`, `"x"`, `"000003e8-48b9-21ee-c2ff-335096b39f47"`},
	"url":       {`"https://u:p@h.example:8080/a%2Fb/c?q=1&r#f"`, `"/a b"`, `"mailto:x@y"`, `"http://[::1]:80/"`, `"%zz"`, `""`, `"//h/p"`, `"http://h:x/"`, `"?a=1"`, `"#x"`, `"a:b:c"`},
	"query":     {`"a=1&b=2&a=3"`, `"a=%20+b"`, `"a"`, `"=x"`, `"a=1;b=2"`, `"%zz=1"`, `"é=ü"`, `""`},
	"json":      {`"{\"a\": [1, 2.0, null]}"`, `"[1,"`, `"1e3"`, `"\"x\""`, `"{\"a\":1,\"a\":2}"`, `" true "`, `""`, `"1 2"`, `"{\"b\": {\"c\": 1e400}}"`, `"[\"\\ud800\"]"`, `"01"`, `"-0"`},
	"yaml":      {`"a: 1\nb: [x, y]\n"`, `"- 1\n- 0x10\n- 1.5\n- ~\n"`, `"a: &x {b: 1}\nc: *x\n"`, `"a: b: c"`, `"d: 2001-01-01"`, `"<<: {a: 1}\nb: 2\n"`, `"a: 1\na: 2\n"`, `"? [x]\n: 1"`, `"1: a\ntrue: b\n1.5: c"`, `"a: .inf"`, `"x: !!binary aGk="`, `"yes"`, `"1e3"`, `"---\na: 1\n---\nb: 2"`, `"a: |\n  t\n  u\n"`, `"0o17"`, `"1_000"`, `"z: 12345678901234567890"`, `""`},
	"base64":    {`"YQ=="`, `"YWI"`, `"_-8"`, `"!!"`, `""`, `"YWJj"`, `"/+8="`, `"Y"`},
	"hex":       {`"61"`, `"6"`, `"zz"`, `""`, `"C3A9"`, `"ff"`},
	"time":      {`"2024-02-29T12:30:00Z"`, `"2024-01-01T00:00:00+02:00"`, `"2024-01-01"`, `"0001-01-01T00:00:00Z"`, `"2262-04-11T23:47:16.854775807Z"`, `"Mon Jan  2 15:04:05 2006"`, `"x"`},
	"layout":    {`"RFC3339"`, `"2006-01-02"`, `"ANSIC"`, `"RFC3339Nano"`, `"2006"`, `"15:04"`, `""`, `"Kitchen"`},
	"duration":  {`"1h30m"`, `"1.5s"`, `"-3ms"`, `"1"`, `"x"`, `"1d"`, `"2w"`, `"1y"`, `"0"`, `"1h-1m"`},
	"ns":        {"0", "1700000000000000000", "-1", "1e18", "1.5", "9223372036854775807", "9223372036854775808", `[1700000000000000000, "America/New_York"]`, `[1700000000000000000, "Europe/Berlin", "RFC3339"]`, `[0, "UTC"]`, `[0, "No/Where"]`, `[0, ""]`, `[1, "UTC", "2006"]`, `[]`, "1709209800000000000"},
	"count":     {"0", "1", "-1", "12", "31", "-100"},
	"pointer":   {`"a"`, `"/a"`, `"a/b"`, `"/a/0"`, `["a", 0]`, `["a"]`, `"b/c"`, `""`, `[]`, `"/"`, `"a~1b"`, `"l/1"`, `"l/-"`, `"o/a"`, `["o", "a"]`, `1`},
	"operation": {`{"op": "add", "path": "/a", "value": 1}`, `{"op": "remove", "path": "a"}`, `{"op": "replace", "path": ["o"], "value": {"z": 1}}`, `{"op": "test", "path": "/b", "value": 2}`, `{"op": "copy", "from": "o", "path": "/q"}`, `{"op": "move", "from": "/l", "path": "a"}`, `{"op": "add", "path": "l/0", "value": "new"}`, `{"op": "add", "path": "/l/-", "value": "end"}`, `{"op": "remove", "path": "/l/1"}`, `{"op": "add", "path": "/x/y", "value": 1}`, `{"op": "nop", "path": "a"}`, `{"op": "add", "path": "a"}`, `{"op": "add", "path": "o/new", "value": [1]}`, `{"op": "add", "path": "", "value": {"r": 1}}`, `{"op": "replace", "path": "/l/0", "value": 0}`},
	"graph":     {`{"a": ["b"], "b": ["c", "a"], "c": []}`, `{"a": {"b", "x"}, "b": {"c"}, "c": null}`, `{1: [2], 2: [1]}`, `{}`, `{"a": "b"}`},
	"vertices":  {`{"a"}`, `["a", "b"]`, `{"x"}`, `[]`, `{1}`},
	"options":   {`{"pretty": true}`, `{"indent": "  "}`, `{"prefix": ">", "pretty": false}`, `{}`, `{"indent": " ", "prefix": "-"}`},
	"token":     tokens,
	"key":       {`"secret"`, `""`, `"{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"`, `"-----BEGIN X-----\n-----END X-----\n"`, ecKey},
	"demands":   {`{"secret": "secret"}`, `{"secret": "secret", "alg": "HS256"}`, `{"secret": "other"}`, `{"secret": "secret", "iss": "me"}`, `{"secret": "secret", "time": 1}`, `{"secret": "secret", "aud": "x"}`, `{}`, `{"secret": "secret", "cert": "x"}`, `{"cert": ` + ecKey + `}`},
	"format":    {`"%v"`, `"%s-%d"`, `"%5.2f|"`, `"%x"`, `"%%"`, `"%q"`, `"%v %v %v"`, `"%-6s|"`, `"%+d"`, `"%t"`, `"%[2]v %[1]v"`, `"%*d"`, `"%o %b %e %g"`, `"x"`, `"%!"`, `"%08.3f"`, `"%c"`, `"%T"`, `"%U"`},
	"name":      {`"a"`, `"b"`, `"l"`, `"o"`, `"zz"`, `0`, `1`, `["o", "a"]`},
	"schema":    {`{"type": "object"}`, `{"type": ["string", "array"]}`, `{"required": ["a"]}`, `{"properties": {"a": {"type": "integer", "minimum": 2}}}`, `{"items": {"type": "string", "maxLength": 1}}`, `"{\"minItems\": 2, \"uniqueItems\": true}"`, `{"$ref": "#/definitions/x", "definitions": {"x": {"additionalProperties": false}}}`, `{"properties": {"a": {"$ref": "#"}}, "required": ["o"]}`, `{"enum": [{"a": 1}, []]}`, `{"oneOf": [{"type": "array"}, {"maxProperties": 1}]}`, `{"not": {"required": ["l"]}}`, `{"type": "x"}`, `{"minLength": -1}`, `{"pattern": "("}`, `"{"`, `{"anyOf": [{"minProperties": 3}, {"items": false}]}`, `{"patternProperties": {"^[a-c]$": {"type": "number"}}}`, `{"$ref": "#/nope"}`, `{"$schema": 1}`, `{1, 2}`, `{"propertyNames": {"maxLength": 0}}`, `{"dependencies": {"a": ["zz"]}}`},
	"document":  {`"{\"a\": 1}"`, `"[1, 1.0]"`, `"\"x\""`, `{"a": 1}`, `["ab"]`, `{"a": {"a": {"o": 1}}, "o": 2}`, `{"l": {1, 2}}`, `[]`, `{}`, `"{"`, `{1: 2}`},
	"trim":      {`"a"`, `" "`, `"xyz"`, `""`, `"é"`, `"ab"`},
}

var tokens = []string{
	`"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJtZSIsImV4cCI6NDAwMDAwMDAwMH0.RpwDVcNDvV2EJiqFOjSt7INjp1WcHrm7Lp6mXJDGqxY"`,
	`"eyJhbGciOiJIUzI1NiJ9.e30.x"`, `"a.b.c"`, `"a.b"`, `""`, `"e30.e30."`, `"eyJlbmMiOiJ4In0.e30."`,
	`"eyJjdHkiOiJKV1QifQ.ZTMwLmUzMC4.x"`, `"eyJhbGciOiJub25lIn0.e30."`, `"eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdLCJ4IjoxfQ.e30.AA"`,
	`"eyJ0eXAiOiAiSldUIiwgImFsZyI6ICJFUzI1NiJ9.eyJuYmYiOiAxNDQ0NDc4NDAwLCAiaXNzIjogInh4eCJ9.lArczfN-pIL8oUU-7PU83u-zfXougXBZj6drFeKFsPEoVhy9WAyiZlRshYqjTSXdaw8yw2L-ovt4zTUZb2PWMg"`,
}

const ecKey = `"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"z8J91ghFy5o6f2xZ4g8LsLH7u2wEpT2ntj8loahnlsE\",\"y\":\"7bdeXLH61KrGWRdh7ilnbcGQACxykaPKfmBccTHIOUo\"}"`

// wants says which pools the operands of a builtin are taken from; "" is by type.
var wants = map[string][]string{
	"array.slice": {"", "small", "small"}, "bits.lsh": {"number", "small"}, "bits.rsh": {"number", "small"},
	"base64.decode": {"base64"}, "base64.is_valid": {"base64"}, "base64url.decode": {"base64"},
	"crypto.hmac.equal": {"hex", "hex"}, "format_int": {"number", "base"}, "hex.decode": {"hex"},
	"glob.match": {"glob", "", "string"}, "glob.quote_meta": {"glob"},
	"graph.reachable": {"graph", "vertices"}, "graph.reachable_paths": {"graph", "vertices"},
	"indexof": {"string", "trim"}, "indexof_n": {"string", "trim"},
	"io.jwt.decode": {"token"}, "io.jwt.decode_verify": {"token", "demands"},
	"json.unmarshal": {"json"}, "json.is_valid": {"json"}, "json.filter": {"", "[pointer]"}, "json.remove": {"", "[pointer]"},
	"json.match_schema": {"document", "schema"}, "json.verify_schema": {"schema"},
	"json.patch": {"", "[operation]"}, "json.marshal_with_options": {"", "options"},
	"net.cidr_contains": {"cidr", "cidr"}, "net.cidr_contains_matches": {"[cidr]", "[cidr]"}, "net.cidr_intersects": {"cidr", "cidr"},
	"net.cidr_is_valid": {"cidr"}, "net.cidr_merge": {"[cidr]"}, "net.cidr_expand": {"block"},
	"numbers.range": {"small", "small"}, "numbers.range_step": {"small", "small", "small"},
	"object.get": {"", "name", ""}, "object.filter": {"", "[name]"}, "object.remove": {"", "[name]"},
	"regex.match": {"regex", "string"}, "regex.is_valid": {"regex"}, "regex.split": {"regex", "string"}, "regex.find_n": {"regex", "string", "small"},
	"regex.find_all_string_submatch_n": {"regex", "string", "small"}, "regex.replace": {"string", "regex", "replace"},
	"regex.template_match": {"template", "string", "delimiter", "delimiter"}, "regex.globs_match": {"dot-glob", "dot-glob"},
	"semver.compare": {"semver", "semver"}, "semver.is_valid": {"semver"}, "sprintf": {"format", "[any]"},
	"strings.any_prefix_match": {"", "[trim]"}, "strings.any_suffix_match": {"", "[trim]"}, "strings.count": {"string", "trim"},
	"split": {"string", "trim"}, "substring": {"string", "small", "small"}, "trim": {"string", "trim"}, "trim_left": {"string", "trim"},
	"trim_right": {"string", "trim"}, "trim_prefix": {"string", "trim"}, "trim_suffix": {"string", "trim"},
	"time.parse_ns": {"layout", "time"}, "time.parse_rfc3339_ns": {"time"}, "time.parse_duration_ns": {"duration"}, "time.format": {"ns"},
	"time.date": {"ns"}, "time.clock": {"ns"}, "time.weekday": {"ns"}, "time.add_date": {"ns", "count", "count", "count"}, "time.diff": {"ns", "ns"},
	"units.parse": {"units"}, "units.parse_bytes": {"units"}, "uri.parse": {"url"}, "uri.is_valid": {"url"}, "uuid.parse": {"uuid"},
	"urlquery.decode": {"query"}, "urlquery.decode_object": {"query"}, "yaml.unmarshal": {"yaml"}, "yaml.is_valid": {"yaml"},
	"to_number": {"string"},
}

func init() {
	for _, alg := range []string{"hs256", "hs384", "hs512", "rs256", "rs384", "rs512", "ps256", "ps384", "ps512", "es256", "es384", "es512", "eddsa"} {
		wants["io.jwt.verify_"+alg] = []string{"token", "key"}
	}
}
