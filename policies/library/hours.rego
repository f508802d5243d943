# METADATA
# title: Working hours
# description: |
#   Tells whether the decision is made within given hours of given days:
#
#     deny contains "outside working hours" if {
#       not hours.within({
#         "days": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"},
#         "from": 8, "until": 18, "utc_offset_minutes": 60,
#       })
#     }
#
#   Hours are whole, 0 to 24; "until" is the first hour outside. Hours that span
#   midnight are two calls. Daylight saving time is not followed.
package keyward.library.hours

# METADATA
# title: Is it now within these hours of these days?
within(hours) if {
	now := time.now_ns() + (hours.utc_offset_minutes * minute)
	weekdays[(whole(now, day) + 4) % 7] in hours.days # the first day was a Thursday
	clock := whole(now % day, 60 * minute)
	clock >= hours.from
	clock < hours.until
}

# How often a unit fits into a time after 1970.
whole(nanoseconds, unit) := (nanoseconds - (nanoseconds % unit)) / unit

weekdays := ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

minute := 60000000000

day := (24 * 60) * minute
