package policies

// A Number is a JSON number as it was written, in a value of a grant's argument
// constraint. A float64 would make two long IDs equal that are not.
type Number string

// MarshalJSON writes the number as it was written.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n), nil }
