// actor does what its arguments say, one after the other: what happens to pods can be provoked.
//
//	print=TEXT   say so             sleep=SECONDS  wait              exit=CODE  end
//	eat=MIB      use that memory    fill=FILE:MIB  use that disk     deaf       ignore SIGTERM
//	child        do the rest in a child process, and go on whatever becomes of it: exit=CODE behind
//	             `then` is what this one does afterwards
//
// Told to stop, it exits with 143, as steps do.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var kept [][]byte

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	return value
}

func eat(mib int) {
	for range mib {
		piece := make([]byte, 1<<20)
		for at := 0; at < len(piece); at += 4096 {
			piece[at] = 1
		}
		kept = append(kept, piece)
	}
}

func fill(name string, mib int) {
	file, err := os.Create(name)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for range mib {
		file.Write(make([]byte, 1<<20))
	}
	file.Close()
}

func act(words []string) {
	for at, word := range words {
		verb, value, _ := strings.Cut(word, "=")
		switch verb {
		case "print":
			fmt.Println(value)
		case "sleep":
			time.Sleep(time.Duration(number(value)) * time.Second)
		case "exit":
			os.Exit(number(value))
		case "eat":
			eat(number(value))
		case "fill":
			name, mib, _ := strings.Cut(value, ":")
			fill(name, number(mib))
		case "deaf":
			signal.Reset(syscall.SIGTERM)
			signal.Ignore(syscall.SIGTERM)
		case "child":
			rest := words[at+1:]
			for split, word := range rest {
				if word == "then" {
					fmt.Println(exec.Command("/proc/self/exe", rest[:split]...).Run())
					rest = rest[split+1:]
					break
				}
			}
			act(rest)
			return
		default:
			fmt.Println("what is", word)
			os.Exit(2)
		}
	}
}

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		<-told
		fmt.Println("told to stop")
		os.Exit(143)
	}()
	act(os.Args[1:])
}
