package keyward.library.hours_test

import data.keyward.library.hours

office := {
	"days": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"},
	"from": 8, "until": 18, "utc_offset_minutes": 0,
}

at(text) := time.parse_rfc3339_ns(text)

test_pass_during_the_day if hours.within(office) with time.now_ns as at("2026-03-04T12:30:00Z")

test_pass_at_the_first_moment if hours.within(office) with time.now_ns as at("2026-03-04T08:00:00Z")

test_pass_at_the_last_moment if hours.within(office) with time.now_ns as at("2026-03-04T17:59:59.999999999Z")

test_fail_before_the_first_moment if {
	not hours.within(office) with time.now_ns as at("2026-03-04T07:59:59.999999999Z")
}

test_fail_at_the_closing_hour if not hours.within(office) with time.now_ns as at("2026-03-04T18:00:00Z")

test_fail_on_a_saturday if not hours.within(office) with time.now_ns as at("2026-03-07T12:00:00Z")

test_pass_offset_moves_the_hours if {
	berlin := object.union(office, {"utc_offset_minutes": 60})
	hours.within(berlin) with time.now_ns as at("2026-03-04T07:30:00Z")
	not hours.within(berlin) with time.now_ns as at("2026-03-04T17:30:00Z")
}

test_pass_offset_moves_the_day if {
	tokyo := object.union(office, {"utc_offset_minutes": 540})
	hours.within(tokyo) with time.now_ns as at("2026-03-08T23:30:00Z")
	not hours.within(tokyo) with time.now_ns as at("2026-03-06T15:30:00Z")
}

test_pass_offset_of_half_an_hour if {
	mumbai := object.union(office, {"utc_offset_minutes": 330})
	hours.within(mumbai) with time.now_ns as at("2026-03-04T02:30:00Z")
	not hours.within(mumbai) with time.now_ns as at("2026-03-04T02:29:59Z")
}

test_pass_all_day_until_24 if {
	always := {"days": {"Wednesday"}, "from": 0, "until": 24, "utc_offset_minutes": 0}
	hours.within(always) with time.now_ns as at("2026-03-04T00:00:00Z")
	hours.within(always) with time.now_ns as at("2026-03-04T23:59:59Z")
}

test_fail_when_a_setting_is_missing if {
	every setting in ["days", "from", "until", "utc_offset_minutes"] {
		not hours.within(object.remove(office, [setting])) with time.now_ns as at("2026-03-04T12:00:00Z")
	}
}
