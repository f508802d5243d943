# METADATA
# title: Labels
# description: |
#   Tells whether a consumer or a target carries given labels:
#
#     deny contains "production is for the on-call team" if {
#       labels.carries(input.target, {"stage": "production"})
#       not labels.carries(input.consumer, {"team": "on-call"})
#     }
#
#   In a deny rule, say with `not` what a request must carry, as the second line
#   does: what is missing then denies.
package keyward.library.labels

# METADATA
# title: Does it carry all of these labels?
carries(subject, wanted) if {
	is_object(subject.labels)
	every key, value in wanted {
		subject.labels[key] == value
	}
}

# METADATA
# title: Do both carry the same value of this label?
same(one, other, key) if one.labels[key] == other.labels[key]
