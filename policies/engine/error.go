package engine

// ErrorCode says which kind of error ended an evaluation.
type ErrorCode string

// The codes; where OPA has the error too, its name.
const (
	ErrConflict     ErrorCode = "eval_conflict_error" // a rule, function or object has two values
	ErrBuiltin      ErrorCode = "eval_builtin_error"  // a builtin failed, in strict mode or beyond repair
	ErrType         ErrorCode = "eval_type_error"     // a builtin got the wrong kind of value, in strict mode
	ErrInstructions ErrorCode = "instruction_limit"
	ErrMemory       ErrorCode = "memory_limit"
	ErrDepth        ErrorCode = "depth_limit"
	ErrOutput       ErrorCode = "output_limit"
	ErrCancelled    ErrorCode = "eval_cancel_error"
	ErrLean         ErrorCode = "lean_build"  // a number beyond int64 in a build without them
	ErrUse          ErrorCode = "usage_error" // the entrypoint is not one of the program
)

// An Error ended an evaluation: there is no result. It carries no value of the
// input.
type Error struct {
	Code     ErrorCode
	Message  string
	Location Location
}

func (e *Error) Error() string {
	s := ""
	if e.Location.File != "" {
		s = e.Location.String() + ": "
	}
	s += string(e.Code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}
