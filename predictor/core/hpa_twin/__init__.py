"""The HorizontalPodAutoscaler controller of Kubernetes v1.37 as a pure function.

`controller.sync` is one sync of it; the cluster model, `simulate` and the conformance check call
it. Nothing in here may know a cluster, a clock or this project's own decisions: the twin has to do
what the controller does, its oddities included, and nothing else.

Every rule names its place in the Kubernetes source, below `pkg/controller/podautoscaler/` where no
other folder is said.
"""
