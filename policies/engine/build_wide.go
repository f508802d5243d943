//go:build !lean

package engine

// wideBuiltins are those that a lean build leaves out, for what they link: big
// numbers, regular expressions, fmt, calendars and more hashes.
func wideBuiltins() [][]builtin {
	return [][]builtin{
		bitsBuiltins, formatBuiltins, patternBuiltins, timeBuiltins, netBuiltins, cryptoBuiltins(), replaceBuiltins,
		urlBuiltins, unitsBuiltins, templateBuiltins, yamlBuiltins, tokenBuiltins(), graphBuiltins, pointerBuiltins,
		semverBuiltins, uuidBuiltins, marshalBuiltins, schemaBuiltins,
	}
}
