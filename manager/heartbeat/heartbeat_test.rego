package keyward.heartbeat_test

import data.keyward.heartbeat

# A Worker against which nothing speaks.
fine := {
	"now": 1764160000,
	"worker": {"id": "researcher", "labels": {}, "task": "", "problem": "", "idle_stop_seconds": 0, "hour_tokens": 0},
	"container": {"phase": "running", "detail": "", "seconds": 3600},
	"window": {"requests": 12, "allowed": 11, "denied": 1, "asked": 0, "failed": 0},
	"repeated": {"count": 2, "target": "github", "method": "tools/call", "name": "search"},
	"refused": {"count": 1, "target": "github", "method": "tools/call", "name": "delete_repository"},
	"hour": {
		"requests": 60,
		"bytes": 100000,
		"tokens": 9000,
		"input_tokens": 8000,
		"output_tokens": 1000,
		"unmetered": 61,
	},
	"quiet_seconds": 5,
	"still_seconds": 30,
	"restarts": 0,
	"looked_seconds": 3600,
}

with_facts(facts) := object.union(fine, facts)

reasons := (heartbeat.down | heartbeat.misbehaving) | (heartbeat.stuck | heartbeat.idle)

no_container := {"phase": "none", "detail": "", "seconds": 0}

test_pass_nothing_speaks_against_it if reasons == set() with input as fine

test_fail_its_container_was_out_of_memory if {
	f := with_facts({"container": {"phase": "failed", "detail": "out of memory", "seconds": 0}})
	heartbeat.down == {"its container has ended: failed out of memory"} with input as f
}

test_fail_it_has_no_container if {
	heartbeat.down == {"it has no container"} with input as with_facts({"container": no_container})
}

test_fail_its_image_is_not_there if {
	f := with_facts({"worker": {"problem": "no such image"}, "container": no_container})
	heartbeat.down == {"it could not be started: no such image"} with input as f
}

test_fail_it_starts_and_starts if {
	f := with_facts({"container": {"phase": "starting", "seconds": 301}})
	heartbeat.down == {"its container has been starting for 301 s"} with input as f
}

test_pass_it_is_being_updated if {
	f := with_facts({"worker": {"task": "update"}, "container": {"phase": "stopped", "detail": "", "seconds": 0}})
	reasons == set() with input as f
}

test_pass_the_backend_does_not_answer if {
	reasons == set() with input as with_facts({"container": {"phase": "unknown", "seconds": 0}})
}

test_fail_most_requests_are_denied if {
	f := with_facts({"window": {"requests": 30, "denied": 20}})
	heartbeat.misbehaving == {"20 of 30 requests were denied"} with input as f
}

test_pass_many_are_denied_of_many_more if {
	reasons == set() with input as with_facts({"window": {"requests": 300, "denied": 20}})
}

test_fail_one_denied_call_again_and_again if {
	f := with_facts({"refused": {"count": 10}})
	heartbeat.misbehaving == {"github tools/call delete_repository was denied 10 times"} with input as f
}

test_fail_more_than_its_budget if {
	f := with_facts({"hour": {"requests": 6001, "bytes": 2147483649}})
	heartbeat.misbehaving == {"6001 requests in an hour", "2147483649 bytes in an hour"} with input as f
}

test_fail_more_than_its_tokens if {
	f := with_facts({"worker": {"hour_tokens": 8999}, "hour": {"unmetered": 60}})
	heartbeat.misbehaving == {"9000 model tokens in an hour, of 8999"} with input as f
}

test_pass_just_its_tokens if {
	f := with_facts({"worker": {"hour_tokens": 9000}, "hour": {"unmetered": 60}})
	reasons == set() with input as f
}

test_fail_more_tokens_than_anybody_may_take if {
	f := with_facts({"hour": {"tokens": 10000001}})
	heartbeat.misbehaving == {"10000001 model tokens in an hour, of 10000000"} with input as f
}

test_fail_a_budget_that_is_passed_by_without_telling if {
	f := with_facts({"worker": {"hour_tokens": 9000}})
	heartbeat.misbehaving == {"61 answers of unknown cost in an hour"} with input as f
}

test_fail_one_call_again_and_again if {
	f := with_facts({"repeated": {"count": 30}})
	heartbeat.stuck == {"github tools/call search was made 30 times"} with input as f
}

test_fail_its_requests_fail if {
	f := with_facts({"window": {"requests": 40, "failed": 20}})
	heartbeat.stuck == {"20 of 40 requests failed"} with input as f
}

test_fail_busy_with_nothing_new if {
	f := with_facts({"still_seconds": 900, "window": {"requests": 20}})
	heartbeat.stuck == {"20 requests, nothing new in 900 s"} with input as f
}

test_pass_slow_with_nothing_new if reasons == set() with input as with_facts({"still_seconds": 900})

test_fail_quiet if {
	heartbeat.idle == {"no request for 900 s"} with input as with_facts({"quiet_seconds": 900})
}

test_pass_quiet_and_not_running if {
	f := with_facts({"quiet_seconds": 900, "container": {"phase": "starting", "seconds": 1}})
	heartbeat.idle == set() with input as f
}

test_pass_numbers_come_from_data if {
	f := with_facts({"repeated": {"count": 30}})

	# regal ignore:unresolved-reference
	heartbeat.stuck == set() with input as f with data.heartbeat as {"same": 31}
}

test_fail_data_that_is_no_number_switches_nothing_off if {
	f := with_facts({"repeated": {"count": 30}})

	# regal ignore:unresolved-reference
	count(heartbeat.stuck) == 1 with input as f with data.heartbeat as {"same": "never"}
}
