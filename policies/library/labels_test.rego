package keyward.library.labels_test

import data.keyward.library.labels

core := {"id": "a", "labels": {"team": "core", "stage": "production"}}

test_pass_carries_one_label if labels.carries(core, {"team": "core"})

test_pass_carries_both_labels if labels.carries(core, {"team": "core", "stage": "production"})

test_pass_carries_no_label_in_particular if labels.carries(core, {})

test_fail_another_value if not labels.carries(core, {"team": "web"})

test_fail_value_in_other_case if not labels.carries(core, {"team": "Core"})

test_fail_one_of_two_is_missing if not labels.carries(core, {"team": "core", "region": "eu"})

test_fail_no_labels if {
	not labels.carries({"id": "a", "labels": {}}, {"team": "core"})
	not labels.carries({"id": "a"}, {"team": "core"})
	not labels.carries({"id": "a"}, {})
	not labels.carries({"id": "a", "labels": null}, {})
}

test_pass_same_value if labels.same(core, {"labels": {"team": "core"}}, "team")

test_fail_different_values if not labels.same(core, {"labels": {"team": "web"}}, "team")

test_fail_label_missing_on_either_side_or_both if {
	not labels.same(core, {"labels": {}}, "team")
	not labels.same({"labels": {}}, core, "team")
	not labels.same(core, core, "region")
}
