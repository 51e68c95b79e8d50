module tac/hack/kubernetes/components/pause

go 1.24.0
