package live

// build names the plugin and what it was built from, as the Makefile sets it. It
// has this mark before it, by which it is found in a binary; without a mark there
// is none.
var build string

// BuildMark is what the name of a plugin's build follows in its binary.
const BuildMark = "keyward-build:"

func buildName() string {
	if len(build) <= len(BuildMark) || build[:len(BuildMark)] != BuildMark {
		return ""
	}
	return build[len(BuildMark):]
}
