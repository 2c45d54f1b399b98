module caxton/examples/echo-go

go 1.24
