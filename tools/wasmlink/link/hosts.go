package link

// offered are the functions that both hosts give to a module: those of
// proxy-wasm ABI 0.2.1, which Higress' 0.2.100 extends, and of WASI preview 1
// what they implement or what the Go runtime always imports. Source:
// WasmBase::registerCallbacks of proxy-wasm-cpp-host and of Higress' fork. Files,
// directories and sockets, which both only stub, are left out.
var offered = set("env.proxy_",
	"log", "get_status", "get_property", "set_property", "send_local_response",
	"get_shared_data", "set_shared_data",
	"register_shared_queue", "resolve_shared_queue", "dequeue_shared_queue", "enqueue_shared_queue",
	"get_header_map_value", "add_header_map_value", "replace_header_map_value", "remove_header_map_value",
	"get_header_map_pairs", "set_header_map_pairs", "get_header_map_size",
	"get_buffer_status", "get_buffer_bytes", "set_buffer_bytes",
	"http_call", "grpc_call", "grpc_stream", "grpc_close", "grpc_cancel", "grpc_send",
	"set_tick_period_milliseconds", "get_current_time_nanoseconds",
	"define_metric", "increment_metric", "record_metric", "get_metric",
	"set_effective_context", "done", "call_foreign_function",
	"continue_stream", "close_stream", "get_log_level",
).and("wasi_snapshot_preview1.",
	"args_get", "args_sizes_get", "environ_get", "environ_sizes_get",
	"clock_time_get", "random_get", "proc_exit", "poll_oneoff", "sched_yield",
	"fd_write", "fd_read", "fd_close", "fd_seek", "fd_fdstat_get", "fd_fdstat_set_flags",
	"fd_prestat_get", "fd_prestat_dir_name",
)

type names map[string]bool

func set(prefix string, list ...string) names { return names{}.and(prefix, list...) }

func (n names) and(prefix string, list ...string) names {
	for _, name := range list {
		n[prefix+name] = true
	}
	return n
}

// A need is an export that a plugin must have.
type need struct {
	Function
	reason string
}

// needed are the exports without which a plugin does not load, does not decide
// or leaks. Other callbacks of the SDK may be there, used or not: hosts ignore
// what they do not know, and the written-down interface pins them all.
var needed = []need{
	{fn("memory", "memory"), "a host reads and writes there"},
	{fn("_initialize", "()"), "a host starts the Go runtime with it"},
	{fn("proxy_on_memory_allocate", "(i32) i32"), "a host has nowhere to put what it returns"},
	{fn("proxy_on_context_create", "(i32, i32)"), "no request is ever seen"},
	{fn("proxy_on_vm_start", "(i32, i32) i32"), "the plugin is never started"},
	{fn("proxy_on_configure", "(i32, i32) i32"), "the plugin is never configured"},
	{fn("proxy_on_tick", "(i32)"), "nothing is done between requests"},
	{fn("proxy_on_request_headers", "(i32, i32, i32) i32"), "no request is ever decided"},
	{fn("proxy_on_response_headers", "(i32, i32, i32) i32"), "an answer is never filtered"},
	{fn("proxy_on_response_body", "(i32, i32, i32) i32"), "an answer is never filtered"},
	{fn("proxy_on_response_trailers", "(i32, i32) i32"), "an answer with trailers is never filtered"},
	{fn("proxy_on_http_call_response", "(i32, i32, i32, i32, i32)"), "an answer to the plugin's own call is lost"},
	{fn("proxy_on_delete", "(i32)"), "a stream's end is never seen"},
}

// together are exports of which a plugin has all or none: one that is shown
// request bodies waits for their end, and one that is shown none must not hold a
// request as if it would see more of it.
var together = []need{
	{fn("proxy_on_request_body", "(i32, i32, i32) i32"), "a request with a body is never decided"},
	{fn("proxy_on_request_trailers", "(i32, i32) i32"), "an HTTP/2 request with trailers is let go undecided"},
}

func fn(name, signature string) Function { return Function{name, signature} }
