package testenv

import "testing"

func TestStartMinIO(t *testing.T) {
	Heavy(t, "MinIO")
	s := StartMinIO(t)
	s.Kill()
	s.Start(t)
}
