module github.com/sidenote-dev/sidenote/hack/cluster

go 1.26.0
