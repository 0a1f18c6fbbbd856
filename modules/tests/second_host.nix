# A host is the hub of the next: the same configuration, one endpoint changed, and the same bytes.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  model = story.entry "ajna-insight-v1" "the weights of a story";
  declared = {
    indexPath = story.index [ model ];
    deployedModels = [ model.id ];
  };
in
{
  name = "hallmark-second-host";
  nodes = {
    hub = story.hub { files = [ model ]; };
    first = story.host (
      declared
      // {
        huggingFace.endpoint = "http://hub";
        listenAddress = "0.0.0.0";
        openFirewall = true;
      }
    );
    second = story.host (declared // { huggingFace.endpoint = "http://first:8420"; });
  };
  testScript = ''
    ${story.looks}
    hub.start()
    first.start()
    hub.wait_for_open_port(80)
    wait_for_state(first, "${model.id}", "deployed")
    # What the second host gets can come from the first one alone.
    hub.shutdown()
    second.start()
    wait_for_state(second, "${model.id}", "deployed")
    second.succeed("grep 'the weights of a story' /var/lib/models/${model.id}/model.bin")
  '';
}
