// Command metalplane-controlplane is a whole Kubernetes control plane in one file: etcd, kube-apiserver,
// kube-controller-manager and kubectl, each exactly as its upstream project wires it. The parts share most of their
// code, so one binary takes a third of the build time and disk of four.
//
// The part is chosen as busybox chooses it: by the name the file is called under (a symbolic link), else by the first
// argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"

	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// Each part runs with os.Args as it would be had the part been a program of its own.
var parts = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kubectl":                 runKubectl,
}

func main() {
	os.Args[0] = filepath.Base(os.Args[0])
	if _, ok := parts[os.Args[0]]; !ok && len(os.Args) > 1 {
		os.Args = os.Args[1:]
	}
	run, ok := parts[os.Args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "%q is no part of this program: name one of %s as the first argument\n", os.Args[0], names())
		os.Exit(2)
	}
	os.Exit(run())
}

func names() string {
	var all []string
	for name := range parts {
		all = append(all, name)
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}

func runEtcd() int {
	etcdmain.Main(os.Args) // exits the process itself on failure
	return 0
}

func runKubectl() int {
	// The verbosity must be known before the command tree, which may read a preferences file, is built.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err) // prints the error and exits
	}
	return 0
}
