package manager

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of a Worker.
const (
	MaxCommand      = 64
	MaxEnv          = 128
	MaxEnvBytes     = 32 << 10 // of all names and values
	MaxWritable     = 16
	MinUser         = 1000 // below are the system's own users
	DefaultUser     = 65532
	DefaultMemoryMB = 1024
	DefaultCPUMilli = 1000
	DefaultPids     = 256
	DefaultFiles    = 4096
	DefaultTmpMB    = 64
)

// WorkerFiles is the folder in a Worker where its files lie: its token, and what
// tells its clients where the targets are.
const WorkerFiles = "/run/keyward"

// A TokenPassing is how a Worker gets its consumer token.
type TokenPassing string

// The ways. A token in the environment can't be replaced without a restart.
const (
	ByEnv  TokenPassing = "env"
	ByFile TokenPassing = "file"
)

// A WorkerSpec is what is chosen of a Worker.
type WorkerSpec struct {
	Image    string            `json:"image" maxLength:"512" doc:"Image by digest: NAME@sha256:..., or sha256:... for one that the engine has"`
	Command  []string          `json:"command,omitempty" maxItems:"64" doc:"Arguments; absent: the image's own"`
	Env      map[string]string `json:"env,omitempty" maxProperties:"128" doc:"More environment; never secrets, which anybody may read here"`
	Labels   map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"Labels of its consumer; a policy sees them"`
	Token    TokenPassing      `json:"token,omitempty" enum:"env,file" doc:"How it gets its token; absent: env"`
	User     int64             `json:"user,omitempty" minimum:"0" maximum:"4294967294" doc:"Numeric user and group, at least 1000; absent: 65532"`
	Limits   WorkerLimits      `json:"limits,omitzero" doc:"What it may take"`
	Writable map[string]int64  `json:"writable,omitempty" maxProperties:"16" doc:"Folders in memory that it may write, to their size in MiB; absent: /tmp with 64"`
	// Heartbeat is not what a container is launched with.
	Heartbeat WorkerHeartbeat `json:"heartbeat,omitzero" doc:"What is done when it is not as it should be"`
}

// WorkerLimits bound what a Worker may take. Zero values have defaults.
type WorkerLimits struct {
	MemoryMB int64 `json:"memory_mb,omitempty" minimum:"0" maximum:"1048576" doc:"Memory in MiB, with what it writes to memory; absent: 1024"`
	CPUMilli int64 `json:"cpu_milli,omitempty" minimum:"0" maximum:"1024000" doc:"Thousandths of a processor; absent: 1000"`
	Pids     int64 `json:"pids,omitempty" minimum:"0" maximum:"32768" doc:"Processes and threads; absent: 256"`
	Files    int64 `json:"files,omitempty" minimum:"0" maximum:"1048576" doc:"Open files of a process; absent: 4096"`
}

// digest is an image by what it is, not by what it is called.
var digest = regexp.MustCompile(`^([a-z0-9][a-zA-Z0-9._:/-]*@)?sha256:[0-9a-f]{64}$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// reserved begin the names of variables that are Keyward's to set.
var reserved = []string{"KEYWARD_", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "HICLAW_", "LD_"}

// WithDefaults returns s with every absent part in its place.
func (s WorkerSpec) WithDefaults() WorkerSpec {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	if s.Token == "" {
		s.Token = ByEnv
	}
	if s.Writable == nil {
		s.Writable = map[string]int64{"/tmp": DefaultTmpMB}
	}
	def(&s.User, DefaultUser)
	def(&s.Limits.MemoryMB, DefaultMemoryMB)
	def(&s.Limits.CPUMilli, DefaultCPUMilli)
	def(&s.Limits.Pids, DefaultPids)
	def(&s.Limits.Files, DefaultFiles)
	return s
}

// Validate checks s with its defaults in place.
func (s WorkerSpec) Validate() error {
	s = s.WithDefaults()
	if !digest.MatchString(s.Image) {
		return invalid("image", "must be by digest, such as name@sha256:...: a tag may be another image tomorrow")
	}
	if s.Token != ByEnv && s.Token != ByFile {
		return invalid("token", "%q is not env or file", s.Token)
	}
	if s.User < MinUser || s.User > 1<<32-2 {
		return invalid("user", "must be at least %d", MinUser)
	}
	if err := s.Limits.validate(); err != nil {
		return err
	}
	if err := validWritable(s.Writable, s.Limits.MemoryMB); err != nil {
		return err
	}
	if len(s.Command) > MaxCommand {
		return invalid("command", "has more than %d arguments", MaxCommand)
	}
	for i, arg := range s.Command {
		if len(arg) > MaxEnvBytes || strings.ContainsRune(arg, 0) {
			return invalid(fmt.Sprintf("command[%d]", i), "is too long or holds a NUL")
		}
	}
	if err := validEnv(s.Env); err != nil {
		return err
	}
	if err := s.Heartbeat.validate(); err != nil {
		return err
	}
	return validLabels(s.Labels)
}

func (l WorkerLimits) validate() error {
	for _, b := range []struct {
		field       string
		v, min, max int64
	}{
		{"memory_mb", l.MemoryMB, 8, 1 << 20},
		{"cpu_milli", l.CPUMilli, 10, 1024000},
		{"pids", l.Pids, 4, 32768},
		{"files", l.Files, 16, 1 << 20},
	} {
		if b.v < b.min || b.v > b.max {
			return invalid("limits."+b.field, "must be %d to %d", b.min, b.max)
		}
	}
	return nil
}

func validWritable(folders map[string]int64, memory int64) error {
	if len(folders) > MaxWritable {
		return invalid("writable", "has more than %d folders", MaxWritable)
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		field := fmt.Sprintf("writable[%q]", dir)
		// A mount option follows the path after a colon.
		if !path.IsAbs(dir) || path.Clean(dir) != dir || len(dir) > 255 || strings.ContainsAny(dir, ":,\x00\n") {
			return invalid(field, "is no clean absolute path")
		}
		for _, no := range []string{"/proc", "/sys", "/dev", "/run/keyward", "/etc", "/usr", "/bin", "/sbin", "/lib"} {
			if dir == no || strings.HasPrefix(dir, no+"/") {
				return invalid(field, "is in a folder that is not a Worker's to write")
			}
		}
		if dir == "/" || dir == "/run" {
			return invalid(field, "would hide what must be seen")
		}
		if mb := folders[dir]; mb < 1 || mb > memory {
			return invalid(field, "must be 1 MiB to the limit of memory")
		}
	}
	return nil
}

func validEnv(env map[string]string) error {
	if len(env) > MaxEnv {
		return invalid("env", "has more than %d variables", MaxEnv)
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		field := fmt.Sprintf("env[%q]", name)
		if !envName.MatchString(name) {
			return invalid(field, "is no name of a variable")
		}
		for _, prefix := range reserved {
			if name == prefix || strings.HasSuffix(prefix, "_") && strings.HasPrefix(name, prefix) {
				return invalid(field, "is set by Keyward, or must not be set")
			}
		}
		if strings.ContainsRune(env[name], 0) {
			return invalid(field, "holds a NUL")
		}
		size += len(name) + len(env[name])
	}
	if size > MaxEnvBytes {
		return invalid("env", "must have at most %d bytes", MaxEnvBytes)
	}
	return nil
}

// A Phase is how far an instance of a Worker has come.
type Phase string

// The phases, as every backend reports them.
const (
	PhaseStarting Phase = "starting"
	PhaseRunning  Phase = "running"
	PhaseStopped  Phase = "stopped" // by us, or by its own end
	PhaseFailed   Phase = "failed"  // ended by an error or a limit
)

// An Instance is what a backend knows of a Worker's container.
type Instance struct {
	Worker  string    `json:"worker" doc:"Id"`
	Run     string    `json:"run,omitempty" doc:"Id of the run that it was launched for; absent: only leavings are there"`
	Phase   Phase     `json:"phase" enum:"starting,running,stopped,failed" doc:"How far it is"`
	Detail  string    `json:"detail,omitempty" doc:"Such as exit status 137, out of memory"`
	Started time.Time `json:"started,omitzero" doc:"Absent: not yet"`
}

// A Launch is all that a backend needs to start a Worker. It holds the Worker's
// token, and so is never kept or logged.
type Launch struct {
	Worker string // id
	Run    string // names this container among those of the Worker; makes Launch idempotent
	Spec   WorkerSpec
	Env    map[string]string
	Files  map[string][]byte // by name below [WorkerFiles]
}

// String hides the token.
func (l Launch) String() string { return "launch of " + l.Worker + ", REDACTED" }

// GoString hides the token.
func (l Launch) GoString() string { return l.String() }
