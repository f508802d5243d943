# METADATA
# title: Working hours
# description: |
#   Tells whether the decision is made within given hours of given days:
#
#     deny contains "outside working hours" if {
#       not hours.within({
#         "days": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"},
#         "from": 8, "until": 18, "utc_offset": 1,
#       })
#     }
#
#   Hours are whole, 0 to 24; "until" is the first hour outside. Hours that span
#   midnight are two calls. The offset from UTC is in hours and may be a
#   fraction; daylight saving time is not followed.
package keyward.library.hours

# METADATA
# title: Is it now within these hours of these days?
within(hours) if {
	now := time.now_ns() + (hours.utc_offset * nanoseconds_per_hour)
	time.weekday(now) in hours.days
	[hour, _, _] := time.clock(now)
	hour >= hours.from
	hour < hours.until
}

nanoseconds_per_hour := ((60 * 60) * 1000) * 1000000
