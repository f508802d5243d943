# METADATA
# title: Keyward's heartbeat
# description: |
#   Says how a Worker is, from facts alone: what its container does, and what the
#   gateways recorded of its requests. The Worker is never asked.
#
#   The Manager asks these rules every few seconds about every Worker that is not
#   suspended. Each is a set of reasons:
#
#   - down: its container does not run
#   - misbehaving: it tries what it may not, or takes too much
#   - stuck: it is busy and gets nowhere
#   - idle: it has asked for nothing for a while
#
#   The first of them, in this order, that has a reason is the Worker's state; with
#   no reason at all it is healthy. What is then done is chosen per Worker.
#
#   A published policy may have a package of this name. Each of the four rules that
#   it has is asked in the place of the one here; the others stay. To change only
#   numbers, publish data such as {"heartbeat": {"denied": 50}}.
#
#   `input` is described in docs/workers.md.
package keyward.heartbeat

# What is too much. "window" is ten minutes.
defaults := {
	"denied": 20, # refused requests in the window ...
	"denied_percent": 50, # ... if they are this share of all
	"denied_same": 10, # one refused call, made again and again in the window
	"failed": 20, # requests that failed in the window ...
	"failed_percent": 50, # ... if they are this share of all
	"same": 30, # one allowed call, made again and again in the window
	"still_seconds": 900, # nothing new for so long ...
	"still_requests": 20, # ... with this many requests in the window
	"quiet_seconds": 900, # no request for so long is idle
	"starting_seconds": 300, # a container that starts for longer is down
	"hour_requests": 6000,
	"hour_bytes": 2147483648,
	"hour_tokens": 10000000, # of models, for a Worker without a budget of its own
	"hour_unmetered": 60, # answers of unknown cost, for one that has a budget
}

# METADATA
# title: Reasons why its container does not run, though it should
# description: Nothing is said while the Manager changes it, or the backend does not answer.
# entrypoint: true
down contains concat("", ["its container has ended: ", ended]) if {
	input.container.phase in {"stopped", "failed"}
	settled
	ended := concat(" ", [input.container.phase, input.container.detail])
}

down contains "it has no container" if {
	input.container.phase == "none"
	settled
	input.worker.problem == ""
}

down contains concat("", ["it could not be started: ", input.worker.problem]) if {
	input.container.phase in {"none", "stopped", "failed"}
	input.worker.problem != ""
}

down contains concat("", ["its container has been starting for ", seconds(input.container.seconds)]) if {
	input.container.phase == "starting"
	input.container.seconds > limits.starting_seconds
}

# METADATA
# title: Reasons why it does what it should not
# entrypoint: true
misbehaving contains concat("", [number(input.window.denied), of_requests, " were denied"]) if {
	input.window.denied >= limits.denied
	share(input.window.denied, limits.denied_percent)
}

misbehaving contains concat("", [call(input.refused), " was denied ", number(input.refused.count), " times"]) if {
	input.refused.count >= limits.denied_same
}

misbehaving contains concat("", [number(input.hour.requests), " requests in an hour"]) if {
	input.hour.requests > limits.hour_requests
}

misbehaving contains concat("", [number(input.hour.bytes), " bytes in an hour"]) if {
	input.hour.bytes > limits.hour_bytes
}

misbehaving contains concat("", [number(input.hour.tokens), " model tokens in an hour, of ", number(token_budget)]) if {
	input.hour.tokens > token_budget
}

misbehaving contains concat("", [number(input.hour.unmetered), " answers of unknown cost in an hour"]) if {
	input.worker.hour_tokens > 0
	input.hour.unmetered > limits.hour_unmetered
}

# METADATA
# title: Reasons why it gets nowhere
# entrypoint: true
stuck contains concat("", [call(input.repeated), " was made ", number(input.repeated.count), " times"]) if {
	input.repeated.count >= limits.same
}

stuck contains concat("", [number(input.window.failed), of_requests, " failed"]) if {
	input.window.failed >= limits.failed
	share(input.window.failed, limits.failed_percent)
}

stuck contains concat("", [number(input.window.requests), " requests, nothing new in ", still]) if {
	input.still_seconds >= limits.still_seconds
	input.window.requests >= limits.still_requests
	still := seconds(input.still_seconds)
}

# METADATA
# title: Reasons why it seems to have nothing to do
# entrypoint: true
idle contains concat("", ["no request for ", seconds(input.quiet_seconds)]) if {
	input.container.phase == "running"
	input.quiet_seconds >= limits.quiet_seconds
}

# --- what the rules above are made of ---

# The Manager is not at work on it.
settled if input.worker.task == ""

# The numbers above, but for those that data.heartbeat has. What is no number there
# counts for nothing: it must not switch a rule off.
# regal ignore:unresolved-reference
limits := object.union(defaults, {name: n | some name, n in data.heartbeat; is_number(n)})

token_budget := input.worker.hour_tokens if input.worker.hour_tokens > 0

else := limits.hour_tokens

# Are n of the window's requests at least this percentage?
share(n, percent) if n * 100 >= percent * input.window.requests

call(c) := concat(" ", [c.target, c.method, c.name])

of_requests := concat("", [" of ", number(input.window.requests), " requests"])

number(n) := format_int(n, 10)

seconds(n) := concat("", [number(n), " s"])
