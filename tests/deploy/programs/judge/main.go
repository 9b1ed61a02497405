// judge reads manifests on standard input and says what the API server would: fields that do not exist, by the types of
// Kubernetes and of the Prometheus operator, and pods that the Pod Security Standard "restricted" would not admit.
//
// Nothing here is ours: the types and the standard are those that the servers are built from.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	documents, pods, err := judge(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d documents, %d kinds of pods: restricted\n", documents, pods)
}

func judge(input io.Reader) (documents, pods int, err error) {
	if err = monitoring.AddToScheme(scheme.Scheme); err != nil {
		return
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(input))
	var problems []error
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return documents, pods, err
		}
		if blank(text) {
			continue
		}
		documents++
		object, kind, err := decoder.Decode(text, nil, nil)
		if err != nil {
			problems = append(problems, fmt.Errorf("%w in:\n%s", err, text))
			continue
		}
		meta, spec := podOf(object)
		if spec == nil {
			continue
		}
		pods++
		for _, result := range evaluator.EvaluatePod(restricted, meta, spec) {
			if !result.Allowed {
				problems = append(problems, fmt.Errorf("%s: %s: %s", kind.Kind, result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
	}
	if documents == 0 {
		problems = append(problems, errors.New("nothing to judge"))
	}
	return documents, pods, errors.Join(problems...)
}

func podOf(object runtime.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	switch object := object.(type) {
	case *corev1.Pod:
		return &object.ObjectMeta, &object.Spec
	case *appsv1.Deployment:
		return &object.Spec.Template.ObjectMeta, &object.Spec.Template.Spec
	}
	return nil, nil
}

// blank is a document of comments alone.
func blank(text []byte) bool {
	var anything any
	return utilyaml.Unmarshal(text, &anything) == nil && anything == nil
}
